#!/usr/bin/env bash
# Ours and PyTorch's in turn, in one run, on this machine's processors.
#
#   scripts/bench_cpu.sh --what step|features|matching [--arch tiny|small|base] [--batch B] [--threads T] [--precision f32|bf16]
#                        [--python VENV/bin/python] [--build FOLDER] [--rounds N]
#
#   step       a training step, 2 x 224 + 8 x 96 pixels; ViT-Ti and ViT-S, batch 4, f32
#   features   the backbone forward, 224 pixels; ViT-Ti and ViT-S, batches 1, 4, 16, f32
#   matching   the k most similar of each patch's neighbors; 16 maps of 14 x 14, small (C = 384), f32, k 4
#
# --python needs torch. Without --build, build/cpu, where microbench is built if it is not there. Threads are all
# processors if not said. The last lines on stdout are, per case,
#   ratio WHAT ARCH batch=B threads=T precision=P peer=original|tuned X.XX (ours O, peer P UNIT, memory M.MM)
# X and M are the peer's time and peak memory over ours. Status 2: bad usage; 1: something did not run.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

what='' python=python3 build=build/cpu arch='' batch='' options=()
stop() { echo "bench_cpu.sh: $*" >&2; exit 2; }
absolute() { case $1 in /*) echo "$1" ;; */*) echo "$here/$1" ;; *) echo "$1" ;; esac; }
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --what | --arch | --batch | --threads | --precision | --python | --build | --rounds | --k)
      [ $# -ge 2 ] || stop "$1 needs a value" ;;&
    --what) what=$2 ;;
    --python) python=$(absolute "$2") ;;
    --build) build=$(absolute "$2") ;;
    --arch) arch=$2 ;;
    --batch) batch=$2 ;;
    --threads | --precision | --rounds | --k) options+=("$1" "$2") ;;
    *) stop "unknown option $1 (see --help)" ;;
  esac
  shift 2
done

# Built where it is not, so that the first call is enough.
microbench() {
  [ -x "$build/bin/microbench" ] && return
  echo "building microbench" >&2
  { cmake --preset cpu -B "$build" -DSELFPATCH_TESTS=OFF -DSELFPATCH_PROGRAMS=OFF &&
    cmake --build "$build" -j "$(nproc)" --target microbench; } >&2 || { echo "bench_cpu.sh: the build failed" >&2; exit 1; }
}

case $what in
  step | features | matching) ;;
  '') stop "--what is needed: step, features or matching" ;;
  *) stop "--what $what is not there; there are step, features, matching" ;;
esac
command -v "$python" >/dev/null || stop "there is no $python"
"$python" -c 'import torch' 2>/dev/null || stop "$python has no torch; give --python one that has"
microbench

peer() { "$python" "bench/pytorch/$1.py" --ours "$build/bin/microbench" "${@:2}" ${options[@]+"${options[@]}"}; }
if [ "$what" = matching ]; then
  peer matching ${arch:+--arch "$arch"} ${batch:+--batch "$batch"}
  exit
fi
case $arch in
  '') arches=(vit_tiny16 vit_small16) ;;
  tiny | small) arches=("vit_${arch}16") ;;
  *) arches=("$arch") ;;
esac
if [ -n "$batch" ]; then batches=("$batch"); elif [ "$what" = step ]; then batches=(4); else batches=(1 4 16); fi
for a in "${arches[@]}"; do
  for b in "${batches[@]}"; do peer step --what "$what" --arch "$a" --batch "$b"; done
done
