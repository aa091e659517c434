#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "embedpool/io/gguf_decoder_config.hpp"
#include "embedpool/io/hugging_face_decoder_config.hpp"
#include "embedpool/io/scaling_of_divisors.hpp"

namespace embedpool::io {

namespace detail {

/// A number that a file stores as float32, by the fewest digits that mean it: 1e-05 and not 9.999999747378752e-06.
inline double shortest(double number) {
  const auto narrow = static_cast<float>(number);
  if (static_cast<double>(narrow) != number) return number;
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, narrow).ptr;
  double read = number;
  std::from_chars(digits, end, read);
  return read;
}

/// The class that transformers' AutoModel makes of a model type.
inline std::string model_class(const std::string& type) {
  std::string name = type;
  name.front() = static_cast<char>(name.front() - 'a' + 'A');
  return name + "Model";
}

inline Json rotary_json(const RotaryScaling& scaling) {
  switch (scaling.kind) {
    case RotaryScalingKind::none: break;
    case RotaryScalingKind::linear: return {{"rope_type", "linear"}, {"factor", scaling.factor}};
    case RotaryScalingKind::llama3:
      return {{"rope_type", "llama3"},
              {"factor", scaling.factor},
              {"low_freq_factor", scaling.low_frequency_factor},
              {"high_freq_factor", scaling.high_frequency_factor},
              {"original_max_position_embeddings", static_cast<Index>(scaling.original_positions)}};
    case RotaryScalingKind::yarn:
      return {{"rope_type", "yarn"},
              {"factor", scaling.factor},
              {"beta_fast", scaling.beta_fast},
              {"beta_slow", scaling.beta_slow},
              {"attention_factor", scaling.amplitude},
              {"original_max_position_embeddings", static_cast<Index>(scaling.original_positions)}};
  }
  return nullptr;
}

/// Errors: FileError naming the first fact of the model that the configuration does not state.
inline void require_stated(const DecoderConfig& wanted, const Json& json, const GgufFile& file) {
  const std::string what = "the model's ", rest = " cannot be stated in a config.json of type " + json["model_type"].dump();
  const DecoderConfig made = hugging_face_decoder_config(JsonObject(json, file.name(), "config.json"));
  const auto require = [&](const char* name, bool same) {
    if (!same) throw FileError(file.name(), name, what + name + rest);
  };
  const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); };  // float32, as stored
  require("shape", made.width == wanted.width && made.layers == wanted.layers && made.heads == wanted.heads &&
                       made.kv_heads == wanted.kv_heads && made.head_dim == wanted.head_dim &&
                       made.feed_forward_width == wanted.feed_forward_width && made.vocabulary == wanted.vocabulary);
  require("bias of query, key and value", made.query_key_value_bias == wanted.query_key_value_bias);
  require("bias of the attention's output", made.output_bias == wanted.output_bias);
  require("norm of query and key", made.query_key_norm == wanted.query_key_norm);
  require("sliding window", made.sliding_window == wanted.sliding_window);
  require("mask", made.bidirectional == wanted.bidirectional);
  require("activation", made.activation == wanted.activation);
  require("norm epsilon", near(made.norm_epsilon, wanted.norm_epsilon));
  require("embedding scale", near(made.embedding_scale, wanted.embedding_scale));
  require("rotary frequencies", near(made.rotary_amplitude, wanted.rotary_amplitude) &&
                                    std::equal(made.inverse_frequencies.begin(), made.inverse_frequencies.end(),
                                               wanted.inverse_frequencies.begin(), near));
}

}  // namespace detail

/// The changes to a config.json that a checkpoint of write_hugging_face_weights needs: the bare model's class, the type
/// of its values, and tied embeddings, for it holds no `lm_head`. What speaks of quantised values or of code beside the
/// model goes.
///
/// Requires  format is F32, BF16 or F16
inline Json for_bare_model(Json config, Format format) {
  const char* type = format == Format::F32 ? "float32" : format == Format::BF16 ? "bfloat16" : "float16";
  config["architectures"] = {detail::model_class(config.at("model_type").get<std::string>())};
  config["tie_word_embeddings"] = true;
  config.erase("quantization_config");
  config.erase("auto_map");
  // Newer versions of transformers write dtype, all of them read torch_dtype.
  if (config.contains("dtype")) config["dtype"] = type;
  if (!config.contains("dtype") || config.contains("torch_dtype")) config["torch_dtype"] = type;
  return config;
}

/// The config.json of the model in a GGUF file, for a checkpoint of its bare model.
///
/// Errors  FileError naming the file and what cannot be stated: rotary frequencies, a bias or a window that models of
///         this type do not have
inline Json hugging_face_config(const GgufFile& file, Format format) {
  const DecoderConfig decoder = gguf_decoder_config(file);
  const std::string prefix = decoder.architecture + ".";
  const bool window = decoder.sliding_window > 0;
  Json config;
  // Files of architecture llama are of any family with these blocks; the window is Mistral's.
  config["model_type"] = decoder.architecture == "llama" && window ? "mistral" : decoder.architecture;
  config["hidden_size"] = decoder.width;
  config["num_hidden_layers"] = decoder.layers;
  config["num_attention_heads"] = decoder.heads;
  config["num_key_value_heads"] = decoder.kv_heads;
  config["head_dim"] = decoder.head_dim;
  config["intermediate_size"] = decoder.feed_forward_width;
  config["vocab_size"] = decoder.vocabulary;
  if (decoder.context_length > 0) config["max_position_embeddings"] = decoder.context_length;
  config["rms_norm_eps"] = detail::shortest(decoder.norm_epsilon);
  config["hidden_act"] = decoder.activation == GateActivation::silu ? "silu" : "gelu_pytorch_tanh";
  if (decoder.architecture == "gemma") config["hidden_activation"] = config["hidden_act"];
  config["attention_bias"] = decoder.architecture != "qwen2" && decoder.output_bias;
  if (window) config["sliding_window"] = decoder.sliding_window;
  if (decoder.bidirectional) config["is_causal"] = false;
  if (decoder.architecture.starts_with("qwen")) {
    config["use_sliding_window"] = window;
    config["max_window_layers"] = window ? 0 : decoder.layers;
  }
  const double theta = file.number_or(prefix + "rope.freq_base", 10000);
  RotaryScaling scaling = detail::read_rotary_scaling(file, prefix);
  if (file.find("rope_freqs.weight") != nullptr) {
    const auto found = scaling_of_divisors(theta, decoder.inverse_frequencies);
    if (!found)
      throw FileError(file.name(), "rope_freqs.weight", "is no scaling whose numbers a config.json could state");
    scaling = *found;
  }
  config["rope_theta"] = detail::shortest(theta);
  config["rope_scaling"] = detail::rotary_json(scaling);
  for (const auto& [name, key] : {std::pair{"bos_token_id", "bos_token_id"}, {"eos_token_id", "eos_token_id"},
                                  {"pad_token_id", "padding_token_id"}}) {
    const std::string id = std::string("tokenizer.ggml.") + key;
    if (file.has(id)) config[name] = file.integer(id, 0, decoder.vocabulary - 1);
  }
  config = for_bare_model(std::move(config), format);
  detail::require_stated(decoder, config, file);
  return config;
}

}  // namespace embedpool::io
