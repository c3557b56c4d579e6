#!/usr/bin/env bash
# Everything the project checks, from a bare Debian 12 on.
#
#   scripts/test.sh              build, tests, headers, refusals, layers, snippets, consumer, budgets, fixtures, fuzz, kernels
#   scripts/test.sh --quick      the same without what takes long: consumer, packages, nvcc, budgets, clang, fuzz, demo
#   scripts/test.sh --sanitize   also the whole suite under ASan and UBSan, and threads under TSan
#
# A Catch2 case, a header, a refusal, a snippet, a fixture each count one. What failed is named above the last line,
# which is `N passed, N failed, N skipped`. Logs lie in build/logs/. Status 1 if anything failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

quick=false sanitize=false
for option in "$@"; do
  case $option in
    --quick) quick=true ;;
    --sanitize) sanitize=true ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) echo "test.sh: unknown option $option (see --help)" >&2; exit 2 ;;
  esac
done

export LC_ALL=C
logs=build/logs
rm -rf "$logs"
mkdir -p "$logs"
all=$logs/results.tsv
: >"$all"

# As many compilers at once as there are processors, and memory: one may need 1.5 GB.
memory=$(awk '/MemAvailable/ {print int($2 / 1500000)}' /proc/meminfo 2>/dev/null)
jobs=$(nproc)
[ "${memory:-$jobs}" -lt "$jobs" ] && jobs=$((memory > 0 ? memory : 1))

note() { printf '%s\n' "$*"; }
record() { printf '%s\t%s%s\n' "$1" "$2" "${3:+$'\t'$3}" >>"$all"; } # OUTCOME TITLE [REASON]

# step NAME COMMAND...: runs a command that writes one line per result; one that ends badly without having named a
# failure is a failure itself. Its output goes to the log, its last lines to the terminal when something is wrong.
step() {
  local name=$1 began=$SECONDS status=0 results="$logs/$1.results" failed
  shift
  : >"$results"
  SELFPATCH_RESULTS=$PWD/$results timeout --kill-after=10 "${limit:-1200}" "$@" >"$logs/$name.log" 2>&1 </dev/null || status=$?
  # Seen from two builds, a case is two results.
  sed "s/\t/\t${prefix:-}/" "$results" >>"$all"
  failed=$(grep -c '^failed' "$results")
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    record failed "${prefix:-}$name ended with status $status, see $logs/$name.log"
    failed=1
  fi
  if [ "$failed" -gt 0 ]; then
    tail -n 40 "$logs/$name.log"
    note "$name: $failed failed ($((SECONDS - began)) s)"
  else
    note "$name: ok, $(wc -l <"$results") results ($((SECONDS - began)) s)"
  fi
  return "$status"
}

# once NAME TITLE COMMAND...: a command that is one result by itself.
once() {
  local name=$1 title=$2
  shift 2
  step "$name" "$@" || return
  record passed "$title"
}

install_missing() {
  command -v dpkg-query >/dev/null || { note "not a Debian system: using what is installed"; return; }
  local needed=(g++ cmake make pkg-config python3 libeigen3-dev nlohmann-json3-dev libcli11-dev libfmt-dev
    libjpeg62-turbo-dev libpng-dev catch2 libbenchmark-dev)
  $quick || needed+=(clang libclang-rt-14-dev strace)
  local missing=() package sudo=()
  for package in "${needed[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { note "missing, and neither root nor sudo to install: ${missing[*]}"; return; }
    sudo=(sudo)
  fi
  note "installing: ${missing[*]}"
  local get=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120)
  { "${get[@]}" install -y --no-install-recommends "${missing[@]}" ||
    { "${get[@]}" update && "${get[@]}" install -y --no-install-recommends "${missing[@]}"; }; } \
    >"$logs/install.log" 2>&1 || note "could not install all of them, see $logs/install.log"
}

# build PRESET: the build goes on where one target fails, so that the others are tested. What it costs is a result too:
# 15 minutes of two processors, in seconds of processors, which do not depend on what else the machine does.
build() {
  once "configure-$1" "preset $1 configures" cmake --preset "$1" || return
  local before spent
  before=$(processor_seconds_of_children)
  limit=3000 once "build-$1" "preset $1 builds without warnings" cmake --build "build/$1" -j "$jobs" -- -k
  spent=$(($(processor_seconds_of_children) - before))
  note "build-$1: $spent s of processor time"
  [ "$1" = cpu ] || return 0 # instrumented builds have no budget
  if [ "$spent" -gt 1800 ]; then
    record failed "preset $1 builds in 15 minutes of two processors: it took $spent s of 1800"
  else
    record passed "preset $1 builds in 15 minutes of two processors"
  fi
}
# Of all that this shell ran and waited for; the shell's own record, since a pipe would have one of its own.
processor_seconds_of_children() {
  awk '{print int(($16 + $17) / ticks)}' ticks="$(getconf CLK_TCK)" "/proc/$$/stat"
}

run_tests() { # PRESET [ARGUMENT...]
  local preset=$1 program
  shift
  for program in "build/$preset"/tests/test_*; do
    [ -x "$program" ] || continue
    step "$preset-$(basename "$program")" "$program" "$@"
  done
}

check() { # NAME ARGUMENT...
  local name=$1
  shift
  step "$(basename "$name")" python3 "$name.py" "$@"
}

compilers=(--compiler g++)
$quick || { command -v clang++ >/dev/null && compilers+=(--compiler clang++); }

# parity FOLDER...: each folder of recorded numbers is one result.
parity() {
  local folder name
  for folder in "$@"; do
    [ -d "$folder" ] || continue
    name=parity-$(basename "$folder")
    [ -e "$logs/$name.log" ] && continue # committed, and beside the checkout
    once "$name" "fixture $(basename "$folder")" build/cpu/bin/parity "$folder"
    tail -n 1 "$logs/$name.log"
  done
}

sanitizers() {
  build cpu-asan
  prefix="asan: " UBSAN_OPTIONS=print_stacktrace=1 run_tests cpu-asan

  # The thread sanitizer of g++ 12 cannot place its memory on kernels that randomise addresses widely.
  build cpu-tsan
  local plain=()
  setarch "$(uname -m)" -R true 2>/dev/null && plain=(setarch "$(uname -m)" -R)
  local program
  for program in build/cpu-tsan/tests/test_*; do
    [ -x "$program" ] || continue
    prefix="tsan: " step "tsan-$(basename "$program")" "${plain[@]}" "$program" '[parallel],[loader],[communicator]'
  done
}

install_missing
build cpu
run_tests cpu
step layers python3 scripts/check_layers.py
check tests/house/headers --jobs "$jobs" "${compilers[@]}"
check tests/house/refusals --jobs "$jobs" "${compilers[@]}"
check tests/house/snippets --jobs "$jobs"
check tests/house/checkers --jobs "$jobs"
check tests/house/style
check tests/house/programs --jobs "$jobs"
if [ -x build/cpu/bin/parity ]; then
  parity tests/fixtures/*/
  if ! $quick; then
    shared=${SELFPATCH_SHARED:-../shared}
    [ -d "$shared" ] || record skipped "fixtures beside the checkout" "no $shared"
    parity "$shared"/parity/*/ "$shared"/data/odd_*/
  fi
fi
if ! $quick; then
  check tests/house/consumer
  check tests/house/packaging
  check tests/house/cuda --jobs "$jobs"
  once mutants "faults planted in kernels are found" python3 scripts/mutate_kernels.py --quick --jobs "$jobs"
  check bench/compile/budgets
  [ -x scripts/fuzz.sh ] && limit=2400 once fuzz "short fuzz of every reader" scripts/fuzz.sh 20
  [ -x scripts/crash_test.sh ] && once crash "kill -9 and a full disk" scripts/crash_test.sh 3
  [ -x scripts/demo.sh ] && once demo "demo --quick" scripts/demo.sh --quick
fi
$sanitize && sanitizers

note
grep '^skipped' "$all" | cut -f 3 | sort | uniq -c | sort -rn | sed 's/^ *\([0-9]*\) /skipped \1: /'
grep '^failed' "$all" | sed 's/^failed\t/FAILED: /'
failed=$(grep -c '^failed' "$all")
note "$(grep -c '^passed' "$all") passed, $failed failed, $(grep -c '^skipped' "$all") skipped"
[ "$failed" -eq 0 ]
