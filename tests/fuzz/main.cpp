#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>

#include "fuzz/targets.hpp"

// One program holds all targets, since they read the same headers. EMBEDPOOL_FUZZ names the one that runs:
//
//   EMBEDPOOL_FUZZ=gguf build/dev/tests/fuzz/fuzz crash-file

namespace {
using Target = int (*)(const std::uint8_t*, std::size_t);
const std::map<std::string_view, Target> targets = {
    {"decoder_config", fuzz_decoder_config},
    {"embedder_config", fuzz_embedder_config},
    {"gguf", fuzz_gguf},
    {"json", fuzz_json},
    {"line_reader", fuzz_line_reader},
    {"safetensors", fuzz_safetensors},
    {"safetensors_index", fuzz_safetensors_index},
    {"sentence_transformers", fuzz_sentence_transformers},
    {"tokenizer_json", fuzz_tokenizer_json},
    {"tokenizer_text", fuzz_tokenizer_text},
};
Target chosen = nullptr;
}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("EMBEDPOOL_FUZZ");
  const auto found = targets.find(name == nullptr ? "" : name);
  if (found == targets.end()) {
    std::fprintf(stderr, "EMBEDPOOL_FUZZ must be one of:");
    for (const auto& [known, target] : targets) std::fprintf(stderr, " %.*s", static_cast<int>(known.size()), known.data());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }
  chosen = found->second;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { return chosen(data, size); }
