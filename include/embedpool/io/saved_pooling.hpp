#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "embedpool/io/gguf.hpp"
#include "embedpool/io/sentence_transformers.hpp"

namespace embedpool::io {

/// What a model's own files say about turning its states into an embedding. Nothing is set that they do not say.
struct SavedPooling {
  std::optional<AnyTokens> tokens{};
  bool concatenated = false;              ///< several readers side by side, and not their mean
  std::optional<bool> normalized{};       ///< whether a unit vector comes out
  std::optional<Index> max_tokens{};
  SentenceTransformersPrompts prompts{};  ///< what may stand, or by default stands, in front of a text
  std::string source{};                   ///< the file or key that said so, for people to read
  std::string unsupported{};              ///< a step that cannot be followed, in words; empty when all can
};

namespace detail {

/// A configuration that need not be there. Errors: FileError when it is there and cannot be read.
inline std::optional<Json> read_json_if_there(const std::filesystem::path& path) {
  std::error_code ignored;  // what cannot be looked at is reported when it is read
  if (!std::filesystem::exists(path, ignored) && !ignored) return std::nullopt;
  return read_json(path);
}

/// sentence_bert_config.json of the Transformer module: how long a text may be, and whether it is lower-cased first.
inline void read_transformer_module(const std::filesystem::path& folder, SavedPooling& saved) {
  // Older versions named the file after the architecture; the first that is there counts.
  for (const char* kind : {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"}) {
    const std::filesystem::path path = folder / ("sentence_" + std::string(kind) + "_config.json");
    const std::optional<Json> json = read_json_if_there(path);
    if (!json) continue;
    const JsonObject config(*json, path.string());
    if (config.has("max_seq_length")) saved.max_tokens = config.integer("max_seq_length", 1, Index(1) << 28);
    if (config.boolean_or("do_lower_case", false)) saved.unsupported = "lower-casing (" + path.string() + ": do_lower_case)";
    return;
  }
}

/// "the module Dense (768 to 512 values)": what stands between the pooling and the embedding and is not followed.
inline std::string describe_module(const SentenceTransformersModule& module, const std::filesystem::path& directory) {
  const std::string name = "the module " + module.type.substr(0, 80);
  if (module.kind != "Dense") return name;
  const std::filesystem::path path = directory / module.folder / "config.json";
  const std::optional<Json> json = read_json_if_there(path);
  if (!json) return name;
  const JsonObject config(*json, path.string());
  const auto size = [&](const char* key) { return std::to_string(config.integer(key, 1, Index(1) << 28)); };
  return name + " (" + size("in_features") + " to " + size("out_features") + " values)";
}

}  // namespace detail

/// What a sentence-transformers directory says: modules.json and what its modules configure, the Transformer's limits,
/// and the prompts of config_sentence_transformers.json. Nothing for a directory without modules.json.
///
/// Errors  FileError naming file, key and cause
inline SavedPooling sentence_transformers_pooling(const std::filesystem::path& directory) {
  SavedPooling saved;
  const std::filesystem::path list = directory / "modules.json";
  const std::optional<Json> modules = detail::read_json_if_there(list);
  if (!modules) return saved;
  saved.source = list.string();
  saved.normalized = false;
  for (const SentenceTransformersModule& module : sentence_transformers_modules(*modules, list.string())) {
    if (module.kind == "Transformer") {
      detail::read_transformer_module(directory / module.folder, saved);
    } else if (module.kind == "Pooling" && !saved.tokens) {
      const std::filesystem::path path = directory / module.folder / "config.json";
      const Json config = read_json(path);
      saved.tokens = sentence_transformers_readers(JsonObject(config, path.string()));
      saved.concatenated = saved.tokens->readers.size() > 1;
      saved.source = path.string();
    } else if (module.kind == "Normalize") {
      saved.normalized = true;
    } else if (module.kind != "Dropout") {  // which does nothing outside training
      saved.unsupported = detail::describe_module(module, directory);
    }
  }
  const std::filesystem::path prompts = directory / "config_sentence_transformers.json";
  if (const std::optional<Json> json = detail::read_json_if_there(prompts))
    saved.prompts = sentence_transformers_prompts(JsonObject(*json, prompts.string()));
  return saved;
}

/// What `ARCHITECTURE.pooling_type` of a GGUF file says: 1 mean, 2 first, 3 last; 0 and absence say nothing.
/// Errors: FileError for a number that is none of the format's.
inline SavedPooling gguf_pooling(const GgufFile& file) {
  SavedPooling saved;
  const std::string key = file.string("general.architecture") + ".pooling_type";
  const Index type = file.integer_or(key, 0, 0, 4);
  if (type == 0) return saved;
  saved.source = file.name() + ": " + key;
  if (type == 1) saved.tokens = AnyTokens{{{.kind = TokenKind::mean}}};
  if (type == 2) saved.tokens = AnyTokens{{{.kind = TokenKind::first}}};
  if (type == 3) saved.tokens = AnyTokens{{{.kind = TokenKind::last}}};
  if (type == 4) saved.unsupported = "pooling for reranking (" + key + " 4)";
  return saved;
}

}  // namespace embedpool::io
