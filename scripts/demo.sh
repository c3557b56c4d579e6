#!/usr/bin/env bash
# From a bare Debian 12 to a trained network and a page that shows what it has learned.
#
#   scripts/demo.sh            on generated scenes: under ten minutes on two processors, about three of them training
#   scripts/demo.sh PHOTOS     five minutes on your own pictures: a folder, a list (.txt) or a shard (.tar)
#   scripts/demo.sh --quick    half a minute of training
#
# Everything lands in demo/. Run again, it goes on where it was stopped. The last line on stdout is
#   demo: demo/report.html  same-object neighbours A% -> B%  boundary AUC C -> D
# untrained -> trained, measured on scenes that were not trained on; for PHOTOS, which have no masks, the page alone.
set -euo pipefail

quick=false photos=
for argument in "$@"; do
  case $argument in
    --quick) quick=true ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    -*) echo "demo.sh: unknown option $argument (see --help)" >&2; exit 2 ;;
    *) [ -z "$photos" ] || { echo "demo.sh: one folder of photos, not two" >&2; exit 2; }
       [ -e "$argument" ] || { echo "demo.sh: there is no $argument" >&2; exit 2; }
       photos=$(realpath -- "$argument") ;;
  esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C
mkdir -p demo
say() { printf 'demo: %s\n' "$*" >&2; }

install_missing() {
  command -v dpkg-query >/dev/null || { say "not a Debian system: using what is installed"; return; }
  local needed=(g++ cmake make libeigen3-dev nlohmann-json3-dev libcli11-dev libfmt-dev libjpeg62-turbo-dev libpng-dev)
  local missing=() package sudo=()
  for package in "${needed[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "please install, as root: apt-get install ${missing[*]}"; exit 2; }
    sudo=(sudo)
  fi
  say "installing ${missing[*]}"
  local get=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120)
  { "${get[@]}" update && "${get[@]}" install -y --no-install-recommends "${missing[@]}"; } >demo/install.log 2>&1 ||
    { tail -n 20 demo/install.log >&2; say "could not install them, see demo/install.log"; exit 2; }
}

# One compiler a processor, but no more than memory allows at 1.5 GB each.
build() {
  local memory jobs
  memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo 2>/dev/null)
  jobs=$(nproc)
  [ "${memory:-$jobs}" -lt "$jobs" ] && jobs=$((memory > 0 ? memory : 1))
  say "building, some minutes the first time"
  { cmake --preset cpu -B build/demo -DSELFPATCH_TESTS=OFF -DSELFPATCH_BENCH=OFF -DSELFPATCH_MODELS=vit_nano8 \
    -DSELFPATCH_WERROR=OFF &&
    cmake --build build/demo -j "$jobs" --target pretrain doctor nearest_patches; } >demo/build.log 2>&1 ||
    { tail -n 20 demo/build.log >&2; say "the build failed, see demo/build.log"; exit 1; }
}

# What is trained on, how long, and what it is judged by. Each kind of run has a folder of its own.
data=scenes:3000 preset=demo length=(--steps 1343) run=demo/run judged=(scenes:200:1)
$quick && data=scenes:600 length=(--steps 150) run=demo/run-quick
if [ -n "$photos" ]; then
  data=$photos preset=photos length=(--minutes "$($quick && echo 0.5 || echo 5)") run+=-photos-$(cksum <<<"$photos" | cut -d ' ' -f 1)
  judged=("$photos" --size 192x144)
fi

install_missing
build
say "looking at the pictures"
build/demo/bin/doctor "$data" --most 300 >&2

say "training"
status=0
trap : INT TERM # the training gets them too, saves, and says so by its status
build/demo/bin/pretrain "$data" --preset "$preset" "${length[@]}" --save-every 200 --out "$run" >&2 || status=$?
trap - INT TERM
case $status in
  0) ;;
  75 | 130) say "stopped; run the script again to go on"; exit "$status" ;;
  *) exit "$status" ;;
esac

say "measuring"
build/demo/bin/nearest_patches "${judged[@]}" --weights "$run/backbone.safetensors" --against untrained:vit_nano8:0 \
  --out demo/neighbors.html >demo/neighbors.txt
cat demo/neighbors.txt >&2
if [ -f "$run/report.html" ]; then cp "$run/report.html" demo/report.html; else cp demo/neighbors.html demo/report.html; fi

# figure LINE NAME: the number behind NAME in the line that begins with LINE.
figure() { awk -v line="$1:" -v name="$2" '$1 == line {for (i = 2; i < NF; ++i) if ($i == name) print $(i + 1)}' demo/neighbors.txt; }
percent() { awk -v share="$1" 'BEGIN {printf "%.1f%%", 100 * share}'; }
short() { awk -v x="$1" 'BEGIN {printf "%.3f", x}'; }

say "the chosen neighbors, drawn: demo/neighbors.html; the weights: $run/backbone.safetensors"
if [ -z "$(figure neighbors boundary)" ]; then
  say "your pictures have no masks, so nothing is counted: look at the page"
  echo "demo: demo/report.html"
else
  echo "demo: demo/report.html  same-object neighbours $(percent "$(figure against boundary)") ->" \
    "$(percent "$(figure neighbors boundary)")  boundary AUC $(short "$(figure against auc)") ->" \
    "$(short "$(figure neighbors auc)")"
fi
