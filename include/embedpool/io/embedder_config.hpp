#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "embedpool/attention/any_mask.hpp"
#include "embedpool/io/head_files.hpp"
#include "embedpool/io/json.hpp"
#include "embedpool/io/prompt_template.hpp"
#include "embedpool/io/text_layout.hpp"
#include "embedpool/pooling/any_layers.hpp"
#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/normalize.hpp"

namespace embedpool::io {

/// The model that a saved embedder belongs to, as far as its numbers depend on it.
struct ModelFacts {
  std::string architecture;
  Index layers = 0;
  Index width = 0;
  Index vocabulary = 0;
  friend bool operator==(const ModelFacts&, const ModelFacts&) = default;
};

/// A saved calibration: its file, and from how many texts it was estimated.
struct CalibrationConfig {
  std::string file = "calibration.safetensors";
  Index texts = 0;
  friend bool operator==(const CalibrationConfig&, const CalibrationConfig&) = default;
};

/// Everything that decides which vector a text gets from a given model: what is saved beside a calibration or a
/// trained head, so that nothing about an embedding is a hidden convention. Written as `embedder.json`:
///
///   {"embedpool_embedder": 1, "model": {"architecture": "llama", "layers": 30, "width": 576, "vocabulary": 49152},
///    "mask": "causal", "pooling": "last,mean@text", "layers": "all", "template": "{text}",
///    "prepended_ids": [], "appended_ids": [2], "max_tokens": 0, "normalize": true, "dimensions": 0,
///    "head": {"type": "mean", "settings": {"normalise_keys": false}, "file": ""},
///    "calibration": {"file": "calibration.safetensors", "texts": 600},
///    "adapter": true, "prompts": {"squad": "Question: "}}
///
/// `mask`, `pooling`, `layers` and `template` are what AnyMask, AnyTokens, AnyLayers and PromptTemplate parse.
/// `calibration`, `adapter` and `prompts` are left out where there is none.
struct EmbedderConfig {
  ModelFacts model{};
  AnyMask mask{};
  AnyTokens tokens{};
  std::string layers = "last";
  TextLayout layout{};
  Finishing finishing{};
  AnyHead head{};          ///< its kind and options
  std::string head_file{};  ///< of its parameters, beside the configuration; empty for heads without any
  std::optional<CalibrationConfig> calibration{};
  bool adapter = false;    ///< the folder holds a LoRA adapter, in PEFT's files, that belongs to it
  std::map<std::string, std::string> prompts{};  ///< of tasks: an instruction in front of the template, for queries
};

namespace detail {

/// A name of a file in the configuration's own folder. Errors: FileError for anything that leads out of it.
inline std::string plain_file_name(const JsonObject& object, std::string_view key) {
  const std::string name = object.string(key);
  if (name.find('/') != std::string::npos || name.find('\\') != std::string::npos || name == "." || name == "..")
    object.fail(key, "must be the name of a file in the same folder, got '" + name.substr(0, 80) + "'");
  return name;
}

inline std::vector<TokenId> token_ids(const JsonObject& object, std::string_view key, Index vocabulary) {
  const Json& value = object.at(key);
  if (!value.is_array() || value.size() > 64) object.fail(key, "must be an array of at most 64 token ids");
  std::vector<TokenId> ids;
  for (const Json& id : value) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= vocabulary)
      object.fail(key, "must hold ids in [0, " + std::to_string(vocabulary - 1) + "], got " + id.dump().substr(0, 80));
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

inline void refuse_unknown_keys(const JsonObject& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.json().items())
    if (std::find(known.begin(), known.end(), key) == known.end()) object.fail(key.substr(0, 80), "is not a known key");
}

/// parse(text of key), with the key in front of what it throws.
template <class Parse>
auto parsed(const JsonObject& object, std::string_view key, Parse&& parse) {
  const std::string text = object.string(key);
  try {
    return parse(text);
  } catch (const ShapeError& error) {
    object.fail(key, error.what());
  }
}

}  // namespace detail

inline Json to_json(const EmbedderConfig& config) {
  Json json = {{"embedpool_embedder", 1},
               {"model",
                {{"architecture", config.model.architecture},
                 {"layers", config.model.layers},
                 {"width", config.model.width},
                 {"vocabulary", config.model.vocabulary}}},
               {"mask", config.mask.to_string()},
               {"pooling", config.tokens.to_string()},
               {"layers", config.layers},
               {"template", config.layout.prompt.to_string()},
               {"prepended_ids", config.layout.prepended},
               {"appended_ids", config.layout.appended},
               {"max_tokens", config.layout.max_tokens},
               {"normalize", config.finishing.normalize},
               {"dimensions", config.finishing.dimensions},
               {"head",
                {{"type", std::string(config.head.name())},
                 {"settings", head_settings(config.head)},
                 {"file", config.head_file}}}};
  if (config.calibration)
    json["calibration"] = {{"file", config.calibration->file}, {"texts", config.calibration->texts}};
  if (config.adapter) json["adapter"] = true;
  if (!config.prompts.empty()) json["prompts"] = config.prompts;
  return json;
}

/// Reads what to_json wrote; `file` is for messages. Every key must be there but the last three, and no other.
/// Errors  FileError naming file, key and cause
inline EmbedderConfig embedder_config(const Json& json, const std::string& file) {
  const JsonObject object(json, file);
  object.integer("embedpool_embedder", 1, 1);
  detail::refuse_unknown_keys(object, {"embedpool_embedder", "model", "mask", "pooling", "layers", "template",
                                       "prepended_ids", "appended_ids", "max_tokens", "normalize", "dimensions", "head",
                                       "calibration", "adapter", "prompts"});
  constexpr Index most = Index(1) << 28;
  EmbedderConfig config;
  const JsonObject model = object.object("model");
  detail::refuse_unknown_keys(model, {"architecture", "layers", "width", "vocabulary"});
  config.model = {model.string("architecture"), model.integer("layers", 1, most), model.integer("width", 1, most),
                  model.integer("vocabulary", 1, most)};
  config.mask = detail::parsed(object, "mask", [](std::string_view text) { return AnyMask::parse(text); });
  config.tokens = detail::parsed(object, "pooling", [](std::string_view text) { return AnyTokens::parse(text); });
  config.layers = object.string("layers");
  detail::parsed(object, "layers", [&](std::string_view text) {
    AnyLayers::parse(text).check(config.model.layers);
    return true;
  });
  config.layout.prompt =
      detail::parsed(object, "template", [](std::string_view text) { return PromptTemplate::parse(text); });
  config.layout.prepended = detail::token_ids(object, "prepended_ids", config.model.vocabulary);
  config.layout.appended = detail::token_ids(object, "appended_ids", config.model.vocabulary);
  config.layout.max_tokens = object.integer("max_tokens", 0, most);
  object.at("normalize");
  config.finishing.normalize = object.boolean_or("normalize", true);
  config.finishing.dimensions = object.integer("dimensions", 0, most);
  const JsonObject head = object.object("head");
  detail::refuse_unknown_keys(head, {"type", "settings", "file"});
  config.head = head_from_settings(head.string("type"), head.object("settings"));
  config.head_file = detail::plain_file_name(head, "file");
  if (object.has("calibration")) {
    const JsonObject calibration = object.object("calibration");
    detail::refuse_unknown_keys(calibration, {"file", "texts"});
    config.calibration = CalibrationConfig{detail::plain_file_name(calibration, "file"),
                                           calibration.integer("texts", 2, Index(1) << 40)};
    if (config.calibration->file.empty()) calibration.fail("file", "must not be empty");
  }
  config.adapter = object.boolean_or("adapter", false);
  if (object.has("prompts")) {
    const JsonObject prompts = object.object("prompts");
    for (const auto& [task, prompt] : prompts.json().items()) {
      if (!prompt.is_string()) object.fail("prompts", "must hold strings");
      config.prompts[task] = prompt.get<std::string>();
    }
  }
  return config;
}

inline EmbedderConfig read_embedder_config(const std::filesystem::path& path) {
  return embedder_config(read_json(path), path.string());
}

}  // namespace embedpool::io
