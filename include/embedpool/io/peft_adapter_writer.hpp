#pragma once
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
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
  Index blocks = 0;               ///< of the base model; 0: as many as the adapter's last pair needs
};

namespace detail {

/// "layers.1.self_attn.q_proj": a map's name in Hugging Face checkpoints.
inline std::string module_name(const DecoderTensorPlace& place) {
  std::string name = hugging_face_name(place);
  name.erase(name.size() - std::string(".weight").size());
  return name;
}

/// What `target_modules` names so that PEFT adapts these maps and no others: "q_proj" when it stands for a map of every
/// block (and every expert), else whole names.
template <Real S>
std::set<std::string> peft_targets(const LoraAdapter<S>& adapter, Index blocks) {
  const auto last_part = [](const std::string& module) { return module.substr(module.rfind('.') + 1); };
  std::map<std::string, Index> present, experts;
  for (const auto& entry : adapter.entries) {
    blocks = std::max(blocks, entry.place.layer + 1);
    const std::string part = last_part(module_name(entry.place));
    ++present[part];
    experts[part] = std::max({experts[part], entry.place.expert + 1, Index(1)});
  }
  std::set<std::string> targets;
  for (const auto& entry : adapter.entries) {
    const std::string module = module_name(entry.place), part = last_part(module);
    targets.insert(present[part] == blocks * experts[part] ? part : module);
  }
  return targets;
}

/// The alpha that makes a pair's scale. What was rounded when an alpha became a scale is rounded away again: alphas are
/// written with few digits.
template <Real S>
double peft_alpha(const LoraPair<S>& lora, bool rank_stabilised) {
  const double rank = static_cast<double>(lora.a.rows()), divisor = rank_stabilised ? std::sqrt(rank) : rank;
  const double alpha = static_cast<double>(lora.scale) * divisor, near = std::round(alpha * 1e4) / 1e4;
  return static_cast<S>(near / divisor) == lora.scale ? near : alpha;
}

}  // namespace detail

/// Writes an adapter in the layout of PEFT, adapter_model.safetensors and then adapter_config.json, so that
/// `PeftModel.from_pretrained` and load_peft_adapter open it. PEFT needs the bare model for it (AutoModel), or with
/// causal_lm the one with a language-model head: on the other it finds no module. Pairs of another rank or alpha than the
/// first are named in rank_pattern and alpha_pattern. The directory is made when it is missing.
///
/// Errors  ShapeError when two pairs stand in one place (merge stacked adapters first, or write them one by one), or the
///         halves of one differ in rank; FileError with the system's reason
template <Real S>
void write_peft_adapter(const LoraAdapter<S>& adapter, const PeftDescription& description,
                        const std::filesystem::path& directory) {
  if (adapter.entries.empty()) throw ShapeError("PEFT adapter: there are no pairs");
  const LoraPair<S>& first = adapter.entries.front().lora;
  const double alpha = detail::peft_alpha(first, description.rank_stabilised);
  Json ranks = Json::object(), alphas = Json::object();
  SafetensorsWriter writer;
  writer.add_metadata("format", "pt");
  for (const auto& [place, lora] : adapter.entries) {
    require_equal("PEFT adapter: " + describe(place), "rank of B", lora.b.cols(), lora.a.rows());
    const std::string module = (description.causal_lm ? "model." : "") + detail::module_name(place);
    if (lora.a.rows() != first.a.rows()) ranks[module] = lora.a.rows();
    if (const double own = detail::peft_alpha(lora, description.rank_stabilised); own != alpha) alphas[module] = own;
    writer.add("base_model.model." + module + ".lora_A.weight", lora.a);
    writer.add("base_model.model." + module + ".lora_B.weight", lora.b);
  }
  Json config;
  config["peft_type"] = "LORA";
  config["task_type"] = description.causal_lm ? "CAUSAL_LM" : "FEATURE_EXTRACTION";
  config["base_model_name_or_path"] = description.base_model;
  config["r"] = first.a.rows();
  config["lora_alpha"] = alpha;
  config["rank_pattern"] = ranks;
  config["alpha_pattern"] = alphas;
  config["lora_dropout"] = description.dropout;
  config["use_rslora"] = description.rank_stabilised;
  config["target_modules"] = detail::peft_targets(adapter, description.blocks);
  config["bias"] = "none";
  config["fan_in_fan_out"] = false;
  config["inference_mode"] = true;
  config["init_lora_weights"] = true;

  std::error_code problem;
  std::filesystem::create_directories(directory, problem);
  if (problem) throw FileError(directory.string(), "create folder", problem.message());
  writer.write(directory / "adapter_model.safetensors");
  AtomicFile file(directory / "adapter_config.json");
  file.write(json_text(config, 2) + "\n");
  file.commit();
}

}  // namespace embedpool::io
