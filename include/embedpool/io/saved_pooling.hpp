#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "embedpool/io/gguf.hpp"
#include "embedpool/io/json.hpp"
#include "embedpool/pooling/any_tokens.hpp"

namespace embedpool::io {

/// What a model's own files say about turning its states into an embedding. Nothing is set that they do not say.
struct SavedPooling {
  std::optional<AnyTokens> tokens{};
  bool concatenated = false;          ///< several readers side by side, and not their mean
  std::optional<bool> normalized{};   ///< whether a unit vector comes out
  std::optional<Index> max_tokens{};
  std::string source{};               ///< the file or key that said so, for people to read
  std::string unsupported{};          ///< a step that cannot be followed, in words; empty when all can
};

namespace detail {

/// The modes of sentence-transformers' Pooling module, by the keys of its config.json.
inline AnyTokens sentence_transformers_readers(const JsonObject& config) {
  struct Mode {
    const char* key;
    TokenKind kind;
  };
  static constexpr Mode modes[] = {{"pooling_mode_cls_token", TokenKind::first},
                                   {"pooling_mode_max_tokens", TokenKind::max},
                                   {"pooling_mode_mean_tokens", TokenKind::mean},
                                   {"pooling_mode_mean_sqrt_len_tokens", TokenKind::mean_sqrt},
                                   {"pooling_mode_weightedmean_tokens", TokenKind::weighted_mean},
                                   {"pooling_mode_lasttoken", TokenKind::last}};
  const TokenView view = config.boolean_or("include_prompt", true) ? TokenView::whole : TokenView::text;
  AnyTokens tokens{{}};
  for (const Mode& mode : modes)  // in the order in which that library joins them
    if (config.boolean_or(mode.key, false)) tokens.readers.push_back({.kind = mode.kind, .view = view});
  if (config.has("pooling_mode")) {  // newer versions name one mode
    static constexpr std::pair<const char*, TokenKind> names[] = {
        {"cls", TokenKind::first},       {"max", TokenKind::max},
        {"mean", TokenKind::mean},       {"mean_sqrt_len_tokens", TokenKind::mean_sqrt},
        {"weightedmean", TokenKind::weighted_mean}, {"lasttoken", TokenKind::last}};
    const std::string name = config.string("pooling_mode");
    for (const auto& [known, kind] : names)
      if (name == known) tokens.readers = {{.kind = kind, .view = view}};
  }
  if (tokens.readers.empty()) config.fail("pooling_mode", "names no pooling that is known");
  return tokens;
}

}  // namespace detail

/// What a sentence-transformers directory says: modules.json, its Pooling and Normalize modules, and
/// sentence_bert_config.json. Nothing for a directory without modules.json.
///
/// Errors  FileError naming file, key and cause
inline SavedPooling sentence_transformers_pooling(const std::filesystem::path& directory) {
  SavedPooling saved;
  const std::filesystem::path list = directory / "modules.json";
  if (!std::filesystem::is_regular_file(list)) return saved;
  saved.source = list.string();
  saved.normalized = false;
  const Json modules = read_json(list);
  if (!modules.is_array()) throw FileError(list.string(), "", "must be an array of modules");
  for (const Json& entry : modules) {
    const JsonObject module(entry, list.string());
    const std::string type = module.string("type"), kind = type.substr(type.rfind('.') + 1);
    if (kind == "Pooling") {
      const std::filesystem::path inside(module.string("path"));
      if (inside.is_absolute() || std::find(inside.begin(), inside.end(), "..") != inside.end())
        module.fail("path", "must lie in the model's folder, got '" + inside.string().substr(0, 80) + "'");
      const std::filesystem::path path = directory / inside / "config.json";
      const Json config = read_json(path);
      saved.tokens = detail::sentence_transformers_readers(JsonObject(config, path.string()));
      saved.concatenated = saved.tokens->readers.size() > 1;
      saved.source = path.string();
    } else if (kind == "Normalize") {
      saved.normalized = true;
    } else if (kind != "Transformer") {
      saved.unsupported = "the module " + type.substr(0, 80);
    }
  }
  const std::filesystem::path limits = directory / "sentence_bert_config.json";
  if (std::filesystem::is_regular_file(limits)) {
    const Json json = read_json(limits);
    const JsonObject config(json, limits.string());
    if (config.has("max_seq_length")) saved.max_tokens = config.integer("max_seq_length", 1, Index(1) << 28);
  }
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
