#pragma once
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "embedpool/io/json.hpp"

namespace embedpool::io {

/// What the Transformer module of a sentence-transformers model does with texts.
struct SentenceTransformersTransformer {
  std::optional<Index> max_tokens{};  ///< of a text, with its prompt and what the tokenizer puts around it
  std::string unsupported{};          ///< a setting that cannot be followed, in words; empty when all can
};

namespace detail {

/// A configuration that need not be there. Errors: FileError when it is there and cannot be read.
inline std::optional<Json> read_json_if_there(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be looked at is reported when it is read
  if (!std::filesystem::exists(path, ignored) && !ignored) return std::nullopt;
  return std::make_optional(read_json(path));
}

/// The first key of config[name] that is none of `harmless`, as "name.key"; empty without one.
inline std::string other_key(const JsonObject& config, const std::string& name, std::vector<std::string_view> harmless) {
  if (config.has(name))
    for (const JsonObject object = config.object(name); const auto& [key, value] : object.json().items())
      if (std::find(harmless.begin(), harmless.end(), key) == harmless.end()) return name + "." + key;
  return {};
}

/// The first setting that makes another input or output of the model than its tokens and last states.
inline std::string unsupported_setting(const JsonObject& config) {
  if (config.boolean_or("do_lower_case", false)) return "lower-casing (do_lower_case)";
  if (config.string_or("transformer_task", "feature-extraction") != "feature-extraction") return "transformer_task";
  if (config.string_or("module_output_name", "token_embeddings") != "token_embeddings") return "module_output_name";
  if (config.has("modality_config")) {
    const JsonObject modalities = config.object("modality_config");
    if (modalities.has("message")) return "a chat template around every text (modality_config.message)";
    if (modalities.has("text")) {
      const JsonObject text = modalities.object("text");
      if (text.string("method") != "forward" || text.string("method_output_name") != "last_hidden_state")
        return "modality_config.text";
    }
  }
  std::string other;
  // By the name of today and by that of older versions. What is harmless says how fast, where and with whose code.
  for (const char* name : {"model_kwargs", "model_args"})
    if (other.empty())
      other = other_key(config, name, {"torch_dtype", "dtype", "attn_implementation", "device_map", "low_cpu_mem_usage",
                                       "trust_remote_code"});
  for (const char* name : {"config_kwargs", "config_args"})
    if (other.empty()) other = other_key(config, name, {"use_cache", "trust_remote_code"});
  for (const char* name : {"processor_kwargs", "tokenizer_args"})
    if (other.empty()) other = other_key(config, name, {"model_max_length", "padding_side", "use_fast", "trust_remote_code"});
  if (other.empty()) other = other_key(config, "processing_kwargs", {"text"});
  if (other.empty() && config.has("processing_kwargs"))
    other = other_key(config.object("processing_kwargs"), "text", {"max_length", "truncation", "padding"});
  return other;
}

/// The longest text that the module's own settings name.
inline std::optional<Index> named_max_tokens(const JsonObject& config) {
  constexpr Index most = Index(1) << 28;
  if (config.has("processing_kwargs") && config.object("processing_kwargs").has("text"))
    if (const JsonObject text = config.object("processing_kwargs").object("text"); text.has("max_length"))
      return text.integer("max_length", 1, most);
  for (const char* key : {"processor_kwargs", "tokenizer_args"})
    if (config.has(key) && config.object(key).has("model_max_length"))
      return config.object(key).integer("model_max_length", 1, most);
  if (config.has("max_seq_length")) return config.integer("max_seq_length", 1, most);
  return std::nullopt;
}

/// The tokenizer's own longest text, but no more than the model's positions. A tokenizer without one says 1e30.
inline std::optional<Index> tokenizer_max_tokens(const std::filesystem::path& folder) {
  double longest = 0x1p28;
  for (const auto& [name, key] : {std::pair{"tokenizer_config.json", "model_max_length"},
                                  {"config.json", "max_position_embeddings"}})
    if (const std::optional<Json> json = read_json_if_there(folder / name)) {
      const JsonObject config(*json, (folder / name).string());
      const double tokens = config.number_or(key, longest);
      if (tokens < 1) config.fail(key, "must be at least 1, got " + std::to_string(tokens));
      longest = std::min(longest, std::floor(tokens));
    }
  return longest < 0x1p28 ? std::optional(static_cast<Index>(longest)) : std::nullopt;
}

}  // namespace detail

/// What the Transformer module in `folder` is told by sentence_bert_config.json (older versions named the file after the
/// architecture; the first that is there counts) and, where that names no length, by the tokenizer's configuration.
///
/// Errors  FileError naming file, key and cause
/// Source  sentence-transformers, base/modules/transformer.py
inline SentenceTransformersTransformer sentence_transformers_transformer(const std::filesystem::path& folder) {
  SentenceTransformersTransformer result;
  for (const char* kind : {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"}) {
    const std::filesystem::path path = folder / ("sentence_" + std::string(kind) + "_config.json");
    const std::optional<Json> json = detail::read_json_if_there(path);
    if (!json) continue;
    const JsonObject config(*json, path.string());
    result.max_tokens = detail::named_max_tokens(config);
    result.unsupported = detail::unsupported_setting(config);
    if (!result.unsupported.empty()) result.unsupported += " in " + path.string();
    break;
  }
  if (!result.max_tokens) result.max_tokens = detail::tokenizer_max_tokens(folder);
  return result;
}

}  // namespace embedpool::io
