#!/usr/bin/env bash
# Runs every reader under libFuzzer with the address and undefined-behaviour sanitizers.
#
#   scripts/fuzz.sh [SECONDS]      seconds a target (default 60); two targets at a time
#
# A target is tests/fuzz/fuzz_NAME.cpp; it starts from tests/fuzz/corpus/NAME. What it learns goes to
# build/fuzz/corpus/NAME, inputs that break a reader to build/fuzz/findings/. The last line is
# `fuzz: N executions, N findings`; status 1 if there is a finding or a target does not build.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

case ${1:-60} in
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  *[!0-9]*) echo "fuzz.sh: SECONDS is a whole number, not $1 (see --help)" >&2; exit 2 ;;
esac
seconds=${1:-60}
compiler=${CXX_FUZZ:-clang++}
if ! command -v "$compiler" >/dev/null; then
  echo "fuzz.sh: needs clang++ and its libFuzzer (Debian: clang libclang-rt-14-dev)" >&2
  exit 2
fi

folder=build/fuzz
mkdir -p "$folder/findings" "$folder/logs"
# Shared by all targets; the linker drops what one does not use.
libraries=("-Wl,--as-needed" -ljpeg -lpng -pthread)
include=(-Iinclude)
[ -d /usr/include/eigen3 ] && include+=(-isystem /usr/include/eigen3)

build_target() { # NAME
  "$compiler" -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    "${include[@]}" "tests/fuzz/fuzz_$1.cpp" "${libraries[@]}" -o "$folder/fuzz_$1" \
    >"$folder/logs/build_$1.log" 2>&1
}

# run_target NAME: one line `NAME EXECUTIONS FINDINGS`.
run_target() {
  local name=$1 log=$folder/logs/$1.log learned=$folder/corpus/$1 status=0 found executions
  mkdir -p "$learned" "tests/fuzz/corpus/$name"
  local before after
  before=$(find "$folder/findings" -name "$name-*" | wc -l)
  ASAN_OPTIONS=allocator_may_return_null=0:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
    "$folder/fuzz_$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
    -malloc_limit_mb=256 -print_final_stats=1 -artifact_prefix="$folder/findings/$name-" \
    "$learned" "tests/fuzz/corpus/$name" >"$log" 2>&1 </dev/null || status=$?
  after=$(find "$folder/findings" -name "$name-*" | wc -l)
  found=$((after - before))
  # A target that ends badly without leaving an input is a finding as well.
  [ "$status" -ne 0 ] && [ "$found" -eq 0 ] && found=1
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  echo "$name ${executions:-0} $found" >"$folder/logs/$name.result"
  echo "fuzz.sh: $name: ${executions:-0} executions, $found findings" >&2
  if [ "$found" -gt 0 ]; then grep -aE 'ERROR|SUMMARY|runtime error|Test unit written' "$log" | head -n 8 >&2; fi
}

targets=() broken=0
for source in tests/fuzz/fuzz_*.cpp; do
  name=$(basename "$source" .cpp)
  name=${name#fuzz_}
  rm -f "$folder/logs/$name.result"
  if build_target "$name"; then
    targets+=("$name")
  else
    echo "fuzz.sh: $source does not build:" >&2
    head -n 20 "$folder/logs/build_$name.log" >&2
    broken=$((broken + 1))
  fi
done

trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
running=0
for name in ${targets[@]+"${targets[@]}"}; do
  if [ "$running" -ge 2 ]; then
    wait -n
    running=$((running - 1))
  fi
  run_target "$name" &
  running=$((running + 1))
done
wait

executions=0 findings=$broken
for name in ${targets[@]+"${targets[@]}"}; do
  read -r _ n f <"$folder/logs/$name.result" || { findings=$((findings + 1)); continue; }
  executions=$((executions + n))
  findings=$((findings + f))
done
echo "fuzz: $executions executions, $findings findings"
[ "$findings" -eq 0 ]
