#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "embedpool/io/tokenizer/pre_tokenizer.hpp"

namespace embedpool::io::tokenizing {

/// How a GGUF file of model type gpt2 has its text cut, by the name in tokenizer.ggml.pre. A piece that one pattern cut is
/// cut further by the next.
///
/// Source  the tables of llama.cpp (src/llama-vocab.cpp), with the patterns of the original tokenizer.json where the two
///         are written differently
struct GgufPattern {
  std::vector<const char*> patterns;
  bool ignore_merges = false;
  bool add_bos = false;  ///< when the file does not say
};

inline std::optional<GgufPattern> gguf_pattern(std::string_view pre) {
  static constexpr const char* llama3 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  static constexpr const char* qwen2 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  static constexpr const char* tekken =
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
      R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
      R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  static constexpr const char* gpt4o =
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
      R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
      R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const auto is = [&](auto... names) { return ((pre == names) || ...); };
  if (is("gpt-2", "phi-2", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "roberta-bpe", "gigachat", "mpt",
         "olmo", "jais"))
    return GgufPattern{{gpt2_pattern}};
  if (is("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"))
    return GgufPattern{{R"(\p{N})", gpt2_pattern}};
  if (is("llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral")) return GgufPattern{{llama3}, true, true};
  if (is("smaug-bpe", "dbrx", "glm4", "chatglm-bpe")) return GgufPattern{{llama3}};
  if (is("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez")) return GgufPattern{{qwen2}};
  if (is("tekken")) return GgufPattern{{tekken}, true, true};
  if (is("gpt-4o")) return GgufPattern{{gpt4o}};
  if (is("default"))
    return GgufPattern{{R"([\p{P}\$\+<=>\^~\|]+)", gpt2_pattern, R"(\p{N}+)", R"([0-9][0-9][0-9])"}};
  return std::nullopt;
}

}  // namespace embedpool::io::tokenizing
