#!/usr/bin/env bash
# Kills a training run with SIGKILL at random moments, fills its disk, and looks at what is left.
#
#   scripts/crash_test.sh [KILLS]          default 20
#   PRETRAIN=build/cpu/bin/pretrain        the program
#   SEED=1  STEPS=30                       the moments; the length of a run
#
# A tiny run is first made without interruption. Then the same run is killed, its files are looked at, and it is
# resumed, until it ends; that is repeated until all kills are made. A kill is *lost* when a step that was saved is not
# there afterwards, or the run cannot go on. A run that ends *differs* when its weights are not those of the
# uninterrupted run, byte for byte. Three more kills come between the files of the last save, one before each is put in
# its place (with strace, where it is installed and allowed). At last the disk is full while a run saves: it must end
# with status 73 and keep its checkpoint, and end equal once there is room. The last line is
# `crash: N kills, N lost, N resumes differing`; status 1 unless the last two are 0.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

case ${1:-20} in
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  *[!0-9]*) echo "crash_test.sh: KILLS is a whole number, not $1 (see --help)" >&2; exit 2 ;;
esac
wanted=${1:-20} steps=${STEPS:-30} pretrain=${PRETRAIN:-build/cpu/bin/pretrain}
RANDOM=${SEED:-1}
kills=0 lost=0 differing=0 runs=0 pid=""

note() { echo "crash_test.sh: $*" >&2; }
lose() {
  lost=$((lost + 1))
  note "$*"
  tail -n 3 "$log" >&2
}
if [ ! -x "$pretrain" ]; then
  note "$pretrain is not there: build the preset cpu, or name another with PRETRAIN="
  exit 2
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/selfpatch-crash-XXXXXX") || exit 2
log=$folder/log
cleanup() {
  [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
  mountpoint -q "$folder/small" 2>/dev/null && umount "$folder/small"
  rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

options=(scenes:64 --arch vit_nano8 --steps "$steps" --batch 2 --global-size 48 --local-size 24 --local-crops 2
  --head-hidden 32 --head-bottleneck 16 --out-dim 64 --patch-out-dim 64 --save-every 1 --log-every 1 --seed 7
  --threads 1 --quiet)
train() { (exec "$pretrain" "${options[@]}" --out "$1" >>"$log" 2>&1); } # RUN
train_aside() { # RUN: its process is $pid
  "$pretrain" "${options[@]}" --out "$1" >>"$log" 2>&1 &
  pid=$!
}
# stop: kills $pid; its status, 137 where the kill came in time.
stop() {
  kill -9 "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  local status=$?
  pid=""
  return "$status"
}

# The step a checkpoint holds, from the text before its numbers; -1 where there is no such file.
saved_step() { # FILE
  local length step
  [ -f "$1" ] || { echo -1; return; }
  length=$(od -An -tu8 -N8 "$1" | tr -d ' ')
  step=$(tail -c +9 "$1" | head -c "${length:-0}" | grep -ao '"step":"[0-9]*"' | head -n 1 | tr -dc 0-9)
  echo "${step:--1}"
}
newest_step() { # RUN
  local a b
  a=$(saved_step "$1/checkpoint.safetensors")
  b=$(saved_step "$1/checkpoint.previous.safetensors")
  echo $((a > b ? a : b))
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# Compares what a run that ended left with what it had to leave, and removes it.
judge() { # RUN
  runs=$((runs + 1))
  if ! cmp -s "$folder/whole/backbone.safetensors" "$1/backbone.safetensors"; then
    differing=$((differing + 1))
    note "run $runs: its weights are not those of the uninterrupted run"
  fi
  rm -rf "$1"
}
end_run() { # RUN
  if train "$1"; then judge "$1"; else lose "run $((runs + 1)) does not go on: status $?"; fi
}

# Starts or resumes the run, kills it after a while, looks at it.
highest=-1 too_short=0
kill_once() { # RUN
  local wait_for before after status
  # Some kills in the first moments, when a run starts or resumes, most anywhere up to a third of its length.
  if [ $((RANDOM % 4)) -eq 0 ]; then wait_for=$((RANDOM % 50)); else wait_for=$((RANDOM % (long / 3 + 60))); fi
  train_aside "$1"
  sleep "$((wait_for / 1000)).$(printf '%03d' $((wait_for % 1000)))"
  before=$(newest_step "$1")
  stop
  status=$?
  if [ "$status" -eq 137 ]; then
    kills=$((kills + 1)) too_short=0
    after=$(newest_step "$1")
    highest=$((before > highest ? before : highest))
    [ "$after" -ge "$highest" ] || lose "kill $kills: step $highest was saved, $after is left"
    highest=$after
    return
  fi
  if [ "$status" -eq 0 ]; then
    judge "$1"
    too_short=$((too_short + 1))
  else
    lose "after kill $kills the run does not go on: status $status"
    rm -rf "$1"
  fi
  highest=-1
}

# Kills a run at the last moments that matter: when a file of its last save is whole and about to be renamed.
kill_between_files() { # RUN
  local total n
  traced() { # STRACE-OPTIONS...
    strace -f -qq -o "$folder/renames" -e trace=/^rename "$@" "$pretrain" "${options[@]}" --out "$run" >>"$log" 2>&1 &
    pid=$!
    wait "$pid" 2>/dev/null
    local status=$?
    pid=""
    return "$status"
  }
  local run=$1
  if ! command -v strace >/dev/null || ! traced; then
    note "no kills between files: strace is not installed, or not allowed"
    return
  fi
  total=$(grep -c 'rename.*(' "$folder/renames")
  judge "$run"
  for n in $((total - 2)) $((total - 1)) "$total"; do
    traced -e "inject=/^rename:signal=KILL:when=$n"
    if [ $? -eq 137 ]; then kills=$((kills + 1)); else lose "the kill before rename $n of $total did not come"; fi
    end_run "$run"
  done
}

# Trains on in RUN without room for a checkpoint; the status of the program. A small file system where one may be
# mounted, else a limit on the length of files.
train_without_room() { # RUN BYTES-OF-A-CHECKPOINT
  local status size=$((3 * $2 + $2 / 2 + 65536)) small=$folder/small
  mkdir -p "$small"
  if mount -t tmpfs -o "size=$size" tmpfs "$small" 2>/dev/null; then
    note "full disk: a file system of $size bytes"
    cp -a "$1" "$small/run"
    # What it leaves is less than a checkpoint, and enough for the log.
    head -c $((size - 2 * $2 - $2 / 2)) /dev/zero >"$small/ballast"
    train "$small/run"
    status=$?
    rm -rf "$1"
    cp -a "$small/run" "$1"
    umount "$small"
  else
    note "full disk: a limit of $(($2 / 2)) bytes a file"
    (trap '' XFSZ; ulimit -f $(($2 / 2 / 1024)); train "$1")
    status=$?
  fi
  return "$status"
}

fill_disk() { # RUN
  local kept status
  train_aside "$1"
  for _ in $(seq 1200); do
    [ "$(newest_step "$1")" -ge 2 ] && break
    sleep 0.02
  done
  stop
  kept=$(newest_step "$1")
  if [ "$kept" -lt 1 ] || [ "$kept" -ge "$steps" ]; then
    lose "the run for the full disk could not be stopped between its steps (at $kept)"
    return
  fi
  train_without_room "$1" "$(stat -c %s "$1/checkpoint.safetensors")"
  status=$?
  [ "$status" -eq 73 ] || lose "with a full disk: status $status, 73 expected"
  [ "$(newest_step "$1")" -ge "$kept" ] || lose "with a full disk: step $kept was saved, $(newest_step "$1") is left"
  compgen -G "$1/*.tmp.*" >/dev/null && lose "with a full disk: a temporary file is left"
  end_run "$1"
}

began=$(milliseconds)
if ! train "$folder/whole" || [ ! -f "$folder/whole/backbone.safetensors" ]; then
  note "the uninterrupted run failed or left no backbone.safetensors"
  tail -n 5 "$log" >&2
  exit 1
fi
long=$(($(milliseconds) - began))
note "an uninterrupted run takes $long ms"

while [ "$kills" -lt "$wanted" ] && [ "$lost" -lt 10 ]; do
  kill_once "$folder/run"
  [ "$too_short" -lt 20 ] || { note "runs end before they are killed: raise STEPS"; exit 2; }
done
[ ! -d "$folder/run" ] || end_run "$folder/run"
kill_between_files "$folder/traced"
fill_disk "$folder/full"

note "$runs runs ended"
echo "crash: $kills kills, $lost lost, $differing resumes differing"
[ "$lost" -eq 0 ] && [ "$differing" -eq 0 ]
