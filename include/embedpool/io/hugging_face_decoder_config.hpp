#pragma once
#include <string>
#include <utility>

#include "embedpool/io/hugging_face_rotary.hpp"
#include "embedpool/model/decoder_config.hpp"

namespace embedpool::io {

namespace detail {

/// `silu`, or one of the names that GELU goes by.
inline GateActivation read_activation(const JsonObject& config, std::string_view key) {
  const std::string name = config.string(key);
  if (name == "silu" || name == "swish") return GateActivation::silu;
  if (name == "gelu") return GateActivation::gelu_erf;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return GateActivation::gelu_tanh;
  config.fail(key, "'" + name + "' is not supported (silu, gelu, gelu_pytorch_tanh)");
}

/// The causal window that every layer has, 0 for none, with the defaults of transformers: models of type mistral and qwen
/// have one of 4,096 where the key is missing (null says that there is none), others than these and mixtral never have one.
/// Errors: FileError when only some layers have it.
inline Index read_window(const JsonObject& config, const DecoderConfig& decoder) {
  constexpr Index longest = Index(1) << 40;
  const bool qwen = decoder.architecture.starts_with("qwen"), mistral = decoder.architecture == "mistral";
  if (!qwen && !mistral && decoder.architecture != "mixtral") return 0;
  if (qwen && !config.boolean_or("use_sliding_window", false)) return 0;
  const bool missing = !config.json().contains("sliding_window") && (qwen || mistral);
  if (!missing && !config.has("sliding_window")) return 0;
  const Index window = missing ? 4096 : config.integer("sliding_window", 1, longest);
  Index full = 0;  // layers without the window
  if (config.has("layer_types")) {
    const Json& types = config.at("layer_types");
    if (!types.is_array() || static_cast<Index>(types.size()) != decoder.layers)
      config.fail("layer_types", "must be an array of one type a layer");
    for (const Json& type : types) {
      if (type != "full_attention" && type != "sliding_attention")
        config.fail("layer_types", type.dump().substr(0, 80) + " is not supported");
      full += type == "full_attention";
    }
  } else if (qwen) {
    full = std::min(decoder.layers, config.integer_or("max_window_layers", 28, 0, longest));
  }
  if (full != 0 && full != decoder.layers)
    config.fail("sliding_window", "layers with and without a window in one model are not supported");
  return full == 0 ? window : 0;
}

}  // namespace detail

/// The DecoderConfig that a Hugging Face config.json describes, for the model types that decoders here can be: llama
/// (SmolLM too), mistral, mixtral, qwen2, qwen3, gemma.
///
/// Errors  FileError naming file, key and cause: another model type, a missing, impossible or inconsistent value, a
///         feature that would change the result and is not there
inline DecoderConfig hugging_face_decoder_config(const JsonObject& config) {
  constexpr Index most = Index(1) << 28;
  DecoderConfig decoder;
  decoder.architecture = config.string("model_type");
  const std::string& type = decoder.architecture;
  const bool gemma = type == "gemma", mixtral = type == "mixtral", qwen2 = type == "qwen2", qwen3 = type == "qwen3";
  if (!(gemma || mixtral || qwen2 || qwen3 || type == "llama" || type == "mistral"))
    config.fail("model_type", "'" + type.substr(0, 80) +
                                  "' is not a decoder that is supported (llama, mistral, mixtral, qwen2, qwen3, gemma)");
  decoder.width = config.integer("hidden_size", 1, most);
  decoder.layers = config.integer("num_hidden_layers", 1, most);
  decoder.heads = config.integer("num_attention_heads", 1, most);
  decoder.kv_heads = config.integer_or("num_key_value_heads", decoder.heads, 1, most);
  if (!config.has("head_dim") && !gemma && !qwen3 && decoder.width % decoder.heads != 0)
    config.fail("num_attention_heads", "must divide hidden_size where head_dim is not given");
  decoder.head_dim =
      config.integer_or("head_dim", gemma ? 256 : qwen3 ? 128 : decoder.width / decoder.heads, 1, most);
  decoder.feed_forward_width = config.integer("intermediate_size", 1, most);
  decoder.vocabulary = config.integer("vocab_size", 1, most);
  decoder.context_length = config.integer_or("max_position_embeddings", 0, 0, Index(1) << 40);
  decoder.norm_epsilon = config.number("rms_norm_eps");
  decoder.tied_embeddings = config.boolean_or("tie_word_embeddings", gemma);

  // Gemma's first configurations say `gelu` where the model has always run its tanh form.
  if (gemma && config.has("hidden_activation"))
    decoder.activation = detail::read_activation(config, "hidden_activation");
  else if (gemma && config.string_or("hidden_act", "gelu") == "gelu")
    decoder.activation = GateActivation::gelu_tanh;
  else
    decoder.activation = detail::read_activation(config, "hidden_act");
  if (gemma) decoder.embedding_scale = std::sqrt(static_cast<double>(decoder.width));
  decoder.output_bias = !qwen2 && config.boolean_or("attention_bias", false);
  decoder.query_key_value_bias = qwen2 || decoder.output_bias;
  decoder.query_key_norm = qwen3;
  if (config.boolean_or("mlp_bias", false)) config.fail("mlp_bias", "biases of the feed-forward are not supported");
  if (mixtral) {
    decoder.experts = config.integer("num_local_experts", 1, 4096);
    decoder.experts_per_token = config.integer("num_experts_per_tok", 1, decoder.experts);
  }
  decoder.sliding_window = detail::read_window(config, decoder);
  // What embedding models that were trained bidirectionally say, by either name.
  for (const auto& [key, says] : {std::pair{"is_causal", false}, {"use_bidirectional_attention", true}})
    if (config.has(key) && config.at(key) == Json(says)) decoder.bidirectional = true;

  const HuggingFaceRotary rotary = read_rotary(config, mixtral ? 1e6 : 1e4);
  decoder.rotary_amplitude = rotary.scaling.amplitude;
  // Sizes first: a table of frequencies is made only for a head of sane size.
  if (decoder.head_dim <= 1 << 14)
    decoder.inverse_frequencies = rotary_frequencies(rotary.theta, decoder.head_dim, rotary.scaling);
  if (const std::string problem = decoder.problem(); !problem.empty()) throw FileError(config.file(), "", problem);
  return decoder;
}

}  // namespace embedpool::io
