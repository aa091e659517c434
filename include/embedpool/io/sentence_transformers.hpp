#pragma once
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/json.hpp"
#include "embedpool/pooling/any_tokens.hpp"

namespace embedpool::io {

/// One step of a sentence-transformers model, as modules.json lists it.
struct SentenceTransformersModule {
  std::string kind;              ///< the class without its package: "Transformer", "Pooling", "Normalize", "Dense" ...
  std::string type;              ///< the class as the file has it
  std::filesystem::path folder;  ///< relative to the model's directory; "" is the directory itself
};

/// The steps of modules.json in their order.
/// Errors  FileError naming file, key and cause: no array, no step, a folder that leads out of the directory
inline std::vector<SentenceTransformersModule> sentence_transformers_modules(const Json& list, const std::string& file) {
  if (!list.is_array() || list.empty()) throw FileError(file, "", "must be an array of modules");
  std::vector<SentenceTransformersModule> modules;
  for (const Json& entry : list) {
    const JsonObject step(entry, file, std::to_string(modules.size()));
    const std::string type = step.string("type");
    auto folder = std::filesystem::path(step.string_or("path", "")).lexically_normal();
    if (folder.is_absolute() || std::find(folder.begin(), folder.end(), "..") != folder.end())
      step.fail("path", "must lie in the model's folder, got '" + folder.string().substr(0, 80) + "'");
    if (folder == ".") folder.clear();
    modules.push_back({type.substr(type.rfind('.') + 1), type, folder});
  }
  return modules;
}

namespace detail {

/// What a pooling mode is called, in the order in which several flags are joined.
struct SentenceTransformersMode {
  const char* flag;  ///< older configurations have a flag for each
  const char* name;  ///< newer ones name one, or a list of them
  TokenKind kind;
};
inline constexpr SentenceTransformersMode sentence_transformers_modes[] = {
    {"pooling_mode_cls_token", "cls", TokenKind::first},
    {"pooling_mode_max_tokens", "max", TokenKind::max},
    {"pooling_mode_mean_tokens", "mean", TokenKind::mean},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", TokenKind::mean_sqrt},
    {"pooling_mode_weightedmean_tokens", "weightedmean", TokenKind::weighted_mean},
    {"pooling_mode_lasttoken", "lasttoken", TokenKind::last}};

inline TokenKind sentence_transformers_kind(const JsonObject& config, const Json& name) {
  for (const SentenceTransformersMode& mode : sentence_transformers_modes)
    if (name == mode.name) return mode.kind;
  config.fail("pooling_mode", "names no pooling that is known: " + name.dump().substr(0, 80));
}

}  // namespace detail

/// The readers that the config.json of a Pooling module asks for; several stand side by side in the embedding, in this
/// order. `pooling_mode` (a name or a list of names) counts where it stands beside the older flags.
///
/// Without any mode it is the mean. With include_prompt false, tokens of the prompt are left out; positions of weightedmean
/// then count from the first token behind it, not from the start of the input, as they do there.
///
/// Errors  FileError naming file, key and cause: an empty list of modes, an unknown name, values of the wrong type
/// Source  sentence-transformers, sentence_transformer/modules/pooling.py
inline AnyTokens sentence_transformers_readers(const JsonObject& config) {
  const TokenView view = config.boolean_or("include_prompt", true) ? TokenView::whole : TokenView::after_prompt;
  AnyTokens tokens{{}};
  const auto add = [&](TokenKind kind) { tokens.readers.push_back({.kind = kind, .view = view}); };
  if (config.has("pooling_mode")) {
    const Json& named = config.at("pooling_mode");
    if (named.is_array() && named.size() > std::size(detail::sentence_transformers_modes))
      config.fail("pooling_mode", "names " + std::to_string(named.size()) + " poolings, more than there are");
    if (!named.is_array()) add(detail::sentence_transformers_kind(config, named));
    else
      for (const Json& name : named) add(detail::sentence_transformers_kind(config, name));
  } else {
    for (const auto& mode : detail::sentence_transformers_modes)
      if (config.boolean_or(mode.flag, false)) add(mode.kind);
    if (tokens.readers.empty()) add(TokenKind::mean);
  }
  if (tokens.readers.empty()) config.fail("pooling_mode", "names no pooling that is known");
  return tokens;
}

/// The prompts of config_sentence_transformers.json: texts put in front of the input, chosen by name.
struct SentenceTransformersPrompts {
  std::map<std::string, std::string> by_name{};
  std::optional<std::string> default_name{};  ///< the one used when nobody chooses; a key of by_name
  std::string similarity{};                   ///< "cosine", "dot" ...: how embeddings are meant to be compared; may be ""

  /// What is put in front of a text when nobody chooses a prompt.
  std::string default_prompt() const { return default_name ? by_name.at(*default_name) : std::string(); }
};

/// Errors  FileError naming file, key and cause: values of the wrong type, a default that is not among the prompts
inline SentenceTransformersPrompts sentence_transformers_prompts(const JsonObject& config) {
  SentenceTransformersPrompts prompts;
  if (config.has("prompts"))
    for (const JsonObject object = config.object("prompts"); const auto& [name, value] : object.json().items())
      if (object.has(name)) prompts.by_name[name] = object.string(name);
  if (config.has("default_prompt_name")) {
    prompts.default_name = config.string("default_prompt_name");
    if (!prompts.by_name.contains(*prompts.default_name))
      config.fail("default_prompt_name", "'" + prompts.default_name->substr(0, 80) + "' is none of the prompts");
  }
  prompts.similarity = config.string_or("similarity_fn_name", "");
  return prompts;
}

}  // namespace embedpool::io
