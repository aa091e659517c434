#!/usr/bin/env bash
# The CUDA part on the GPU at hand, beside PyTorch where it is installed. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case ${1:-} in
  '') ;;
  *)
    cat <<TEXT
usage: bash benchmarks/cuda/run.sh

Builds benchmarks/cuda/gpu_benchmark.cu for the GPU of this machine, runs it, and then torch_reference.py where \$PYTHON
(default: python3) has torch, transformers and peft. Prints two tables with the same lines. Needs nvcc.
TEXT
    [ "$1" = -h ] || [ "$1" = --help ] || exit 2
    exit 0
    ;;
esac

cmake -G Ninja -S . -B build/gpu-benchmark -DCMAKE_BUILD_TYPE=Release -DEMBEDPOOL_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native \
  -DEMBEDPOOL_BUILD_TESTS=OFF -DEMBEDPOOL_BUILD_EXAMPLES=OFF -DEMBEDPOOL_BUILD_BENCHMARKS=ON >/dev/null
cmake --build build/gpu-benchmark --target gpu_benchmark
build/gpu-benchmark/benchmarks/gpu_benchmark
if "${PYTHON:-python3}" -c 'import torch, transformers, peft' 2>/dev/null; then
  echo
  "${PYTHON:-python3}" benchmarks/cuda/torch_reference.py
else
  echo "PyTorch, transformers and PEFT are not installed: nothing to compare with"
fi
