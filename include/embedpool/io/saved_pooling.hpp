#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "embedpool/io/gguf.hpp"
#include "embedpool/io/sentence_transformers.hpp"
#include "embedpool/io/sentence_transformers_transformer.hpp"

namespace embedpool::io {

/// What a model's own files say about turning its states into an embedding. Nothing is set that they do not say.
struct SavedPooling {
  std::optional<AnyTokens> tokens{};
  bool concatenated = false;              ///< several readers side by side, and not their mean
  std::optional<bool> normalized{};       ///< whether a unit vector comes out
  std::optional<Index> max_tokens{};
  Index dimensions = 0;                   ///< only so many of the first are kept; 0: all
  SentenceTransformersPrompts prompts{};  ///< what may stand, or by default stands, in front of a text
  std::string source{};                   ///< the file or key that said so, for people to read
  std::string unsupported{};              ///< a step that cannot be followed, in words; empty when all can
};

namespace detail {

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

/// Whether a Normalize module works on the embedding, and not on states of tokens, as its configuration may say.
inline bool is_of_embeddings(const std::filesystem::path& folder) {
  const std::optional<Json> json = read_json_if_there(folder / "config.json");
  if (!json) return true;
  const JsonObject config(*json, (folder / "config.json").string());
  const std::string name = config.string_or("module_input_name", "sentence_embedding");
  return name == "sentence_embedding" && config.string_or("module_output_name", name) == name;
}

}  // namespace detail

/// What a sentence-transformers directory says: modules.json and what its modules configure, the Transformer's limits,
/// and the prompts and dimensions of config_sentence_transformers.json. Nothing for a directory without modules.json.
/// Where vectors are normalised, they are so after they were cut to these dimensions (there before): the same cosines.
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
      const SentenceTransformersTransformer texts = sentence_transformers_transformer(directory / module.folder);
      saved.max_tokens = texts.max_tokens;
      saved.unsupported = texts.unsupported;
    } else if (module.kind == "Pooling" && !saved.tokens) {
      const std::filesystem::path path = directory / module.folder / "config.json";
      const Json config = read_json(path);
      saved.tokens = sentence_transformers_readers(JsonObject(config, path.string()));
      saved.concatenated = saved.tokens->readers.size() > 1;
      saved.source = path.string();
      for (const TokenChoice& reader : saved.tokens->readers)
        if (reader.kind == TokenKind::weighted_mean && reader.view != TokenView::whole)
          saved.unsupported = "weightedmean without the prompt, whose weights count from the prompt's first token";
    } else if (module.kind == "Normalize" && detail::is_of_embeddings(directory / module.folder)) {
      if (saved.tokens) saved.normalized = true;  // nothing is there before the pooling
    } else if (module.kind != "Dropout") {  // which does nothing outside training
      saved.unsupported = detail::describe_module(module, directory);
    }
  }
  if (!saved.tokens && saved.unsupported.empty()) saved.unsupported = "a model without a Pooling module";
  const std::filesystem::path prompts = directory / "config_sentence_transformers.json";
  if (const std::optional<Json> json = detail::read_json_if_there(prompts)) {
    const JsonObject config(*json, prompts.string());
    saved.prompts = sentence_transformers_prompts(config);
    saved.dimensions = config.integer_or("truncate_dim", 0, 1, Index(1) << 28);
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
