#pragma once
#include <cctype>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "embedpool/io/decoder_tensor_names.hpp"
#include "embedpool/io/json.hpp"
#include "embedpool/io/peft_pattern.hpp"
#include "embedpool/io/safetensors.hpp"
#include "embedpool/model/lora_adapter.hpp"

namespace embedpool::io {

namespace detail {

/// What may change a result and is not done here.
inline void refuse_unknown_peft_features(const JsonObject& config) {
  if (config.string("peft_type") != "LORA") config.fail("peft_type", "must be LORA, got " + config.string("peft_type"));
  for (const char* key : {"use_dora", "use_qalora", "lora_bias", "fan_in_fan_out"})
    if (config.boolean_or(key, false)) config.fail(key, "is not supported");
  if (config.string_or("bias", "none") != "none") config.fail("bias", "must be none");
  for (const char* key : {"modules_to_save", "layer_replication", "target_parameters", "trainable_token_indices",
                          "alora_invocation_tokens", "arrow_config", "use_bdlora", "kasa_config", "monteclora_config"})
    if (config.has(key) && config.at(key) != Json(false) && !config.at(key).empty()) config.fail(key, "is not supported");
  // These starts take their part out of the model's own weights, which then are no longer those of its files.
  if (config.has("init_lora_weights") && config.at("init_lora_weights").is_string()) {
    std::string start = config.string("init_lora_weights");
    for (char& c : start) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));  // PEFT takes OLoRA, too
    for (const char* changing : {"pissa", "olora", "corda", "loftq", "lora_ga"})
      if (start.starts_with(changing))
        config.fail("init_lora_weights", "is '" + start.substr(0, 40) + "', which changes the base model");
  }
}

/// The matrix of a tensor, decoded. Errors: FileError for a value that is not finite: a merged model could not be mended.
template <Real S>
Matrix<S> decoded(const Tensor& tensor) {
  const WeightView view = tensor.weight();
  Matrix<S> values(view.rows, view.cols);
  for (Index n = 0; n < view.rows; ++n) decode_row(view, n, values.row(n).data());
  if (!values.allFinite()) tensor.fail("holds a value that is not finite");
  return values;
}

/// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" -> "layers.0.self_attn.q_proj.weight"; empty when
/// the name does not end in `half`. PEFT puts base_model.model. in front of the model's own names.
inline std::string peft_module(const std::string& tensor, const std::string& half) {
  if (!tensor.ends_with(half)) return {};
  std::string name = tensor.substr(0, tensor.size() - half.size());
  for (const std::string prefix : {"base_model.model.", "model."})
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  return name + ".weight";
}

/// Rank and scale of each module: `r` and `lora_alpha`, or what rank_pattern and alpha_pattern say in their place.
class PeftScales {
 public:
  struct Numbers {
    Index rank;
    double scale;  ///< alpha / r, or alpha / sqrt(r) with use_rslora
  };

  explicit PeftScales(const JsonObject& config)
      : config_(config),
        rank_(config.integer("r", 1, 1 << 16)),
        alpha_(config.number("lora_alpha")),
        rank_stabilised_(config.boolean_or("use_rslora", false)),
        ranks_(config, "rank_pattern"),
        alphas_(config, "alpha_pattern") {}

  /// Errors  FileError for a rank that is no whole number from 1 on, an alpha that is out of range
  Numbers of(const std::string& module) const {
    const double rank = ranks_.of(module).value_or(static_cast<double>(rank_));
    if (rank < 1 || rank > (1 << 16) || rank != std::floor(rank)) config_.fail("rank_pattern", "must hold ranks from 1 on");
    const double scale = alphas_.of(module).value_or(alpha_) / (rank_stabilised_ ? std::sqrt(rank) : rank);
    if (std::abs(scale) >= 1e30) config_.fail("lora_alpha", "is out of range for " + module);  // of float
    return {static_cast<Index>(rank), scale};
  }

 private:
  JsonObject config_;
  Index rank_;
  double alpha_;
  bool rank_stabilised_;
  PeftPattern ranks_, alphas_;
};

}  // namespace detail

/// A LoRA adapter in the layout of PEFT: adapter_config.json and adapter_model.safetensors in a directory.
///
/// Errors  FileError naming file, key or tensor, and cause: another method or a feature that is not known, an alpha that is
///         out of range, a module that the model has not or that comes twice, a half without its other half, shapes that do
///         not fit the model or the rank, values that are not finite
template <Real S = float>
LoraAdapter<S> load_peft_adapter(const std::filesystem::path& directory, const DecoderConfig& model) {
  const Json json = read_json(directory / "adapter_config.json");
  const JsonObject config(json, (directory / "adapter_config.json").string());
  detail::refuse_unknown_peft_features(config);
  const detail::PeftScales scales(config);

  std::map<std::string, DecoderTensorPlace> places;
  DecoderWeights<S> shell;  // only its structure is used
  for_each_tensor(shell, model, [&](const DecoderTensorPlace& place, auto& tensor) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>)
      if (place.kind != DecoderTensor::embedding) places.emplace(hugging_face_name(place), place);
  });

  const auto file = SafetensorsFile::open(directory / "adapter_model.safetensors");
  const std::string half_a = ".lora_A.weight", half_b = ".lora_B.weight", prefix = "base_model.model.";
  LoraAdapter<S> adapter;
  std::set<std::string> met;
  for (const auto& [name, tensor] : file.tensors()) {
    if (!detail::peft_module(name, half_b).empty()) {  // read together with its A
      file.at(name.substr(0, name.size() - half_b.size()) + half_a);
      continue;
    }
    const auto found = places.find(detail::peft_module(name, half_a));
    if (found == places.end()) tensor.fail("is no LoRA half of a matrix of this model");
    if (!met.insert(found->first).second) tensor.fail("is of a module that another tensor is of, too");
    const auto [rows, cols] = tensor_shape(found->second.kind, model);
    const std::string module = name.substr(0, name.size() - half_a.size());
    const Tensor& other = file.at(module + half_b);
    const auto [rank, scale] = scales.of(module.starts_with(prefix) ? module.substr(prefix.size()) : module);
    tensor.require_shape({rank, cols});
    other.require_shape({rows, rank});
    adapter.entries.push_back(
        {found->second, {detail::decoded<S>(tensor), detail::decoded<S>(other), static_cast<S>(scale)}});
  }
  if (adapter.entries.empty()) throw FileError(file.name(), "", "holds no LoRA matrices");
  return adapter;
}

}  // namespace embedpool::io
