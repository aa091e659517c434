#include "saved_folder.hpp"

#include "embedpool/io/peft_adapter.hpp"

namespace embedpool::program {
namespace {

void require_same_keys(const io::SavedEmbedder& head, const io::SavedEmbedder& calibration, const std::string& folder,
                       const std::string& head_folder) {
  const auto same = [&](const std::string& key, const std::string& a, const std::string& b) {
    if (a != b)
      throw FileError(folder, key, "was made with " + b + "; the head in " + head_folder + " was made with " + a);
  };
  same("mask", head.config.mask.to_string(), calibration.config.mask.to_string());
  same("pooling", head.config.tokens.to_string(), calibration.config.tokens.to_string());
  same("layers", head.config.layers, calibration.config.layers);
  same("template", head.config.layout.prompt.to_string(), calibration.config.layout.prompt.to_string());
  same("prepended_ids", ids_text(head.config.layout.prepended), ids_text(calibration.config.layout.prepended));
  same("appended_ids", ids_text(head.config.layout.appended), ids_text(calibration.config.layout.appended));
}

}  // namespace

std::string saved_folder(const EmbeddingOptions& options) {
  return !options.head.empty() ? options.head : options.calibration;
}

std::string canonical_layers(const AnyLayers& chosen, Index layers) {
  chosen.check(layers);
  if (chosen.count(layers) == 1 && chosen.wants(layers, layers)) return "last";
  if (chosen.count(layers) == layers && !chosen.wants(0, layers)) return "all";
  std::string list;
  for (Index k = 0; k <= layers; ++k)
    if (chosen.wants(k, layers)) list += (list.empty() ? "" : ",") + std::to_string(k);
  return list;
}

std::string ids_text(const std::vector<TokenId>& ids) {
  std::string text = "[";
  for (const TokenId id : ids) text += (text.size() > 1 ? ", " : "") + std::to_string(id);
  return text + "]";
}

void take_saved(const EmbeddingOptions& options, const Model& model, Settings& settings) {
  const std::string folder = saved_folder(options);
  io::SavedEmbedder main = io::SavedEmbedder::read(folder);
  if (main.config.model != model.facts())
    throw FileError(folder, "model", "was made for another model: " + main.config.model.architecture + " of " +
                                         std::to_string(main.config.model.layers) + " layers, width " +
                                         std::to_string(main.config.model.width) + ", " +
                                         std::to_string(main.config.model.vocabulary) + " tokens");
  if (!options.head.empty() && !options.calibration.empty()) {
    io::SavedEmbedder other = io::SavedEmbedder::read(options.calibration);
    if (other.config.model != main.config.model)
      throw FileError(options.calibration, "model", "was made for another model than the head in " + options.head);
    require_same_keys(main, other, options.calibration, options.head);
    main.calibration = std::move(other.calibration);
    main.config.calibration = other.config.calibration;
  }
  if (!options.calibration.empty() && !main.calibration)
    throw FileError(options.calibration, "calibration", "missing: the folder holds no calibration");
  io::EmbedderConfig& config = settings.config;
  config = std::move(main.config);
  config.layers = canonical_layers(AnyLayers::parse(config.layers), config.model.layers);
  if (config.adapter) {
    settings.adapter = io::load_peft_adapter<float>(folder, model.decoder().config());
    require_not_merged(*settings.adapter, folder, model);
  }
  settings.reading.params = std::move(main.head);
  settings.reading.calibration = std::move(main.calibration);
  settings.pooling_source = folder;
}

}  // namespace embedpool::program
