#pragma once
#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>

#include "embedpool/io/decoder_tensor_names.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/model/lora_adapter.hpp"

namespace embedpool::io {

/// What the configuration of a PEFT adapter says besides its matrices.
struct PeftDescription {
  std::string base_model{};       ///< base_model_name_or_path: where PEFT looks for the model when none is given
  double dropout = 0;
  bool rank_stabilised = false;
  bool causal_lm = false;         ///< names for a model with a language-model head: one more `model.` in front
};

/// Writes an adapter in the layout of PEFT, adapter_model.safetensors and then adapter_config.json, so that
/// `PeftModel.from_pretrained` and load_peft_adapter open it. The directory is made when it is missing.
///
/// Errors  ShapeError when pairs differ in rank or scale, or two stand in one place (merge stacked adapters first, or
///         write them one by one); FileError with the system's reason
template <Real S>
void write_peft_adapter(const LoraAdapter<S>& adapter, const PeftDescription& description,
                        const std::filesystem::path& directory) {
  if (adapter.entries.empty()) throw ShapeError("PEFT adapter: there are no pairs");
  const LoraPair<S>& first = adapter.entries.front().lora;
  const Index rank = first.a.rows();
  std::set<std::string> targets;
  SafetensorsWriter writer;
  writer.add_metadata("format", "pt");
  for (const auto& [place, lora] : adapter.entries) {
    require_equal("PEFT adapter: " + describe(place), "rank", lora.a.rows(), rank);
    if (lora.scale != first.scale) throw ShapeError("PEFT adapter: " + describe(place) + " has a scale of its own");
    std::string module = hugging_face_name(place);
    module.erase(module.size() - std::string(".weight").size());
    targets.insert(module.substr(module.rfind('.') + 1));
    const std::string name = (description.causal_lm ? "base_model.model.model." : "base_model.model.") + module;
    writer.add(name + ".lora_A.weight", lora.a);
    writer.add(name + ".lora_B.weight", lora.b);
  }
  const double root = description.rank_stabilised ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank);
  Json config;
  config["peft_type"] = "LORA";
  config["task_type"] = description.causal_lm ? "CAUSAL_LM" : "FEATURE_EXTRACTION";
  config["base_model_name_or_path"] = description.base_model;
  config["r"] = rank;
  // What was rounded when alpha became a scale is rounded away again: alphas are written with few digits.
  const double alpha = static_cast<double>(first.scale) * root, near = std::round(alpha * 1e4) / 1e4;
  config["lora_alpha"] = static_cast<S>(near / root) == first.scale ? near : alpha;
  config["lora_dropout"] = description.dropout;
  config["use_rslora"] = description.rank_stabilised;
  config["target_modules"] = targets;
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;

  std::error_code problem;
  std::filesystem::create_directories(directory, problem);
  if (problem) throw FileError(directory.string(), "create folder", problem.message());
  writer.write(directory / "adapter_model.safetensors");
  AtomicFile file(directory / "adapter_config.json");
  file.write(config.dump(2) + "\n");
  file.commit();
}

}  // namespace embedpool::io
