#!/usr/bin/env bash
# Everything that needs a GPU, in one call under ten minutes, without a network.
#
#   scripts/gpu_check.sh [--deps DIR] [--quick]
#
# Builds tests/cuda with nvcc and runs them against the double reference, then once more under compute-sanitizer; times
# the ladder of each kernel (bench/ladder) beside a copy, and PyTorch beside that. What cannot run here is named as
# skipped, with the reason. --quick leaves out the timings. --deps: include/ and bin/ of DIR are searched too.
# Logs lie in build/gpu/. The last line is `gpu: N passed, N failed, N skipped`; status 1 if anything failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

quick=false deps=
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=true ;;
    --deps) deps=${2:?--deps needs a folder} && shift ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    *) echo "gpu_check.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
  shift
done

out=build/gpu
rm -rf "$out"
mkdir -p "$out"
results=$PWD/$out/results.tsv
: >"$results"
export PATH=${deps:+$deps/bin:}$PATH:/usr/local/cuda/bin
record() { printf '%s\t%s%s\n' "$1" "$2" "${3:+$'\t'$3}" >>"$results"; }

finish() {
  sed -n 's/^skipped\t\([^\t]*\)\t*\(.*\)/skipped: \1: \2/p; s/^failed\t/FAILED: /p' "$results"
  local failed
  failed=$(grep -c '^failed' "$results")
  echo "gpu: $(grep -c '^passed' "$results") passed, $failed failed, $(grep -c '^skipped' "$results") skipped"
  [ "$failed" -eq 0 ]
  exit
}

# stage LIMIT NAME COMMAND...: within the ten minutes of all; its output goes to a log.
stage() {
  local limit=$1 name=$2 left=$((570 - SECONDS)) status=0
  shift 2
  [ "$left" -lt 10 ] && { record skipped "$name" "no time left"; return 1; }
  timeout --kill-after=5 "$((limit < left ? limit : left))" "$@" >"$out/$name.log" 2>&1 </dev/null || status=$?
  echo "$name: status $status ($SECONDS s)"
  return "$status"
}
# once ...: the same as one result.
once() {
  local before
  before=$(wc -l <"$results")
  if stage "$@"; then
    record passed "$2"
  elif [ "$(wc -l <"$results")" -eq "$before" ]; then
    record failed "$2" "see $out/$2.log"
    tail -n 15 "$out/$2.log"
    return 1
  fi
}

gpu=$(nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader 2>/dev/null | head -n 1)
missing=
command -v nvcc >/dev/null || missing="nvcc is not installed"
[ -n "$gpu" ] || missing="no GPU was found (nvidia-smi lists none)"
if [ -n "$missing" ]; then
  for what in "tests on the GPU" "compute-sanitizer" "the ladder" "the comparison with PyTorch"; do
    record skipped "$what" "$missing"
  done
  finish
fi
echo "$gpu"
case ${gpu##*, } in
  9.0) arch=90a ;;
  10.0) arch=100a ;;
  *) arch=${gpu##*, } arch=${arch/./} ;;
esac
flags=(-std=c++20 --expt-relaxed-constexpr -O3 -lineinfo -DEIGEN_NO_CUDA -gencode "arch=compute_$arch,code=sm_$arch"
  -Itests -Iinclude -Ikernels -I/usr/include/eigen3 ${deps:+-I"$deps/include"})

once 60 build-main nvcc "${flags[@]}" -c tests/main.cpp -o "$out/main.o"
for source in tests/cuda/*.cu; do
  name=$(basename "$source" .cu)
  once 240 "build-$name" nvcc "${flags[@]}" "$source" "$out/main.o" -o "$out/test_$name" || continue
  before=$(grep -c '^failed' "$results")
  SELFPATCH_RESULTS=$results stage 120 "test-$name" "$out/test_$name"
  status=$?
  [ "$status" -ne 0 ] && [ "$(grep -c '^failed' "$results")" -eq "$before" ] &&
    record failed "test-$name" "ended with status $status, see $out/test-$name.log"
  for tool in memcheck racecheck synccheck initcheck; do
    if command -v compute-sanitizer >/dev/null; then
      once 90 "$tool-$name" compute-sanitizer --tool "$tool" --error-exitcode 9 "$out/test_$name" "every kernel*"
    else
      record skipped "$tool-$name" "compute-sanitizer is not installed"
    fi
  done
done

if $quick; then
  record skipped "the ladder and the comparison with PyTorch" "--quick"
  finish
fi
for source in bench/ladder/*.cu; do
  name=$(basename "$source" .cu)
  once 180 "build-ladder-$name" nvcc "${flags[@]}" "$source" -o "$out/ladder_$name" || continue
  once 120 "ladder-$name" "$out/ladder_$name" && cat "$out/ladder-$name.log"
  peer=bench/pytorch/$name.py
  [ -f "$peer" ] || continue
  if python3 -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    once 150 "pytorch-$name" python3 "$peer" --ours "$out/ladder-$name.log" && cat "$out/pytorch-$name.log"
  else
    record skipped "pytorch-$name" "python3 has no torch with CUDA"
  fi
done
finish
