#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "embedpool/io/calibration_file.hpp"
#include "embedpool/io/embedder_config.hpp"

namespace embedpool::io {

/// A folder with everything that turns a model's states into embeddings: `embedder.json`, the parameters of the head
/// and the calibration that it names. What `embedpool calibrate` and training write, and `embedpool embed` reads.
struct SavedEmbedder {
  static constexpr const char* config_name = "embedder.json";

  EmbedderConfig config{};
  AnyHead::Params<float> head{};
  std::optional<Calibration<float>> calibration{};

  /// Keys' kinds: rows of the calibration and of a layer table.
  static Index slots(const EmbedderConfig& config) {
    return AnyLayers::parse(config.layers).count(config.model.layers) * config.tokens.slots();
  }

  /// Errors: FileError naming file, key or tensor, and cause.
  static SavedEmbedder read(const std::filesystem::path& folder) {
    SavedEmbedder saved;
    saved.config = read_embedder_config(folder / config_name);
    const EmbedderConfig& config = saved.config;
    if (config.head_file.empty()) {
      saved.head = detail::smallest_like(config.head).template init<float>(1, 1);
      if (parameters(saved.head) > 0)
        throw FileError((folder / config_name).string(), "head.file", "is empty, but head " + std::string(config.head.name()) + " has parameters");
    } else {
      saved.head = read_head<float>(config.head, config.model.width, slots(config), folder / config.head_file);
    }
    if (config.calibration)
      saved.calibration =
          read_calibration<float>(folder / config.calibration->file, slots(config), config.model.width);
    return saved;
  }

  /// Writes the folder (made when it is missing), embedder.json last, so that a folder with a new configuration has all
  /// that it names. Head and calibration files are named head.safetensors and calibration.safetensors.
  /// Errors: FileError with the system's reason, or when a prompt is no valid UTF-8: nothing is written then.
  void write(const std::filesystem::path& folder) {
    std::error_code problem;
    std::filesystem::create_directories(folder, problem);
    if (problem) throw FileError(folder.string(), "create folder", problem.message());
    config.head_file = parameters(head) > 0 ? "head.safetensors" : "";
    if (!calibration) config.calibration.reset();
    else if (!config.calibration) config.calibration.emplace();
    if (calibration) config.calibration->file = "calibration.safetensors";
    std::string text;
    try {
      text = to_json(config).dump(2) + "\n";
    } catch (const Json::exception& error) {
      throw FileError((folder / config_name).string(), "write", error.what());
    }
    if (!config.head_file.empty()) write_head(config.head, head, folder / config.head_file);
    if (calibration) write_calibration(*calibration, folder / config.calibration->file);
    AtomicFile file(folder / config_name);
    file.write(text);
    file.commit();
  }

 private:
  /// How many numbers a head has learned.
  static Index parameters(AnyHead::Params<float>& head) {
    Index count = 0;
    AnyHead::for_each(head, [&](const std::string&, Matrix<float>& tensor) { count += tensor.size(); });
    return count;
  }
};

}  // namespace embedpool::io
