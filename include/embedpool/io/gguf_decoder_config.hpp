#pragma once
#include <string>

#include "embedpool/io/gguf.hpp"
#include "embedpool/kernels/dequantize.hpp"
#include "embedpool/model/decoder_config.hpp"
#include "embedpool/model/rotary_scaling.hpp"

namespace embedpool::io {

namespace detail {

inline double gguf_positive_or(const GgufFile& file, const std::string& key, double otherwise) {
  const double value = file.number_or(key, otherwise);
  if (!(value > 0)) file.fail(key, "must be positive, got " + std::to_string(value));
  return value;
}

/// `ARCH.rope.scaling.*`: none, linear or yarn. (The llama3 kind comes as the tensor rope_freqs.weight.)
inline RotaryScaling read_rotary_scaling(const GgufFile& file, const std::string& prefix) {
  RotaryScaling scaling;
  const std::string key = prefix + "rope.scaling.";
  const std::string older = prefix + "rope.scale_linear";
  const std::string factor = file.has(key + "factor") || !file.has(older) ? key + "factor" : older;
  const std::string kind = file.string_or(key + "type", file.has(factor) ? "linear" : "none");
  if (kind == "none") return {};
  scaling.factor = file.number_or(factor, 1) == 0 ? 1 : gguf_positive_or(file, factor, 1);  // 0 says nothing, as in llama.cpp
  if (kind == "linear") {
    scaling.kind = RotaryScalingKind::linear;
  } else if (kind == "yarn") {
    scaling.kind = RotaryScalingKind::yarn;
    const std::string original = key + "original_context_length";
    scaling.original_positions = static_cast<double>(
        file.integer(file.has(original) ? original : prefix + "context_length", 1, Index(1) << 40));
    scaling.beta_fast = gguf_positive_or(file, key + "yarn_beta_fast", scaling.beta_fast);
    scaling.beta_slow = gguf_positive_or(file, key + "yarn_beta_slow", scaling.beta_slow);
    scaling.amplitude = yarn_amplitude(scaling.factor) * gguf_positive_or(file, key + "attn_factor", 1);
  } else {
    file.fail(key + "type", "'" + kind.substr(0, 80) + "' is not supported (none, linear, yarn)");
  }
  return scaling;
}

/// Divides each frequency by its entry in rope_freqs.weight, where the file has that tensor.
inline void apply_frequency_factors(const GgufFile& file, std::vector<double>& frequencies) {
  const Tensor* tensor = file.find("rope_freqs.weight");
  if (tensor == nullptr) return;
  tensor->require_shape({static_cast<Index>(frequencies.size())});
  std::vector<double> factors(frequencies.size());
  decode_row(tensor->weight(), 0, factors.data());
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    if (!(factors[i] > 0)) tensor->fail("factors must be positive, got " + std::to_string(factors[i]));
    frequencies[i] /= factors[i];
  }
}

}  // namespace detail

/// The DecoderConfig that a GGUF file describes, for the architectures llama (Llama, Mistral, SmolLM ...), qwen2, qwen3
/// and gemma. Files of architecture llama hold q and k rows permuted for interleaved rotation, the others do not.
///
/// Errors  FileError naming file, key and cause
inline DecoderConfig gguf_decoder_config(const GgufFile& file) {
  constexpr Index most = Index(1) << 28;
  DecoderConfig decoder;
  if (const Index parts = file.integer_or("split.count", 1, 0, most); parts > 1)
    file.fail("split.count", "the file is one of " + std::to_string(parts) + " parts of a model, which must be joined");
  const std::string type = decoder.architecture = file.string("general.architecture");
  if (type != "llama" && type != "qwen2" && type != "qwen3" && type != "gemma")
    file.fail("general.architecture",
              "'" + type.substr(0, 80) + "' is not a decoder that is supported (llama, qwen2, qwen3, gemma)");
  const std::string prefix = type + ".";
  decoder.width = file.integer(prefix + "embedding_length", 1, most);
  decoder.layers = file.integer(prefix + "block_count", 1, most);
  decoder.heads = file.integer(prefix + "attention.head_count", 1, most);
  decoder.kv_heads = file.integer_or(prefix + "attention.head_count_kv", decoder.heads, 1, most);
  const std::string key_length = prefix + "attention.key_length", value_length = prefix + "attention.value_length";
  if (!file.has(key_length) && decoder.width % decoder.heads != 0)
    file.fail(prefix + "attention.head_count", "must divide embedding_length where key_length is not given");
  decoder.head_dim = file.integer_or(key_length, decoder.width / decoder.heads, 1, most);
  if (file.integer_or(value_length, decoder.head_dim, 1, most) != decoder.head_dim)
    file.fail(value_length, "must equal key_length (" + std::to_string(decoder.head_dim) + ")");
  if (file.integer_or(prefix + "rope.dimension_count", decoder.head_dim, 0, most) != decoder.head_dim)
    file.fail(prefix + "rope.dimension_count",
              "must be the width of a head (" + std::to_string(decoder.head_dim) + "): rotating a part is not supported");
  decoder.feed_forward_width = file.integer(prefix + "feed_forward_length", 1, most);
  decoder.context_length = file.integer_or(prefix + "context_length", 0, 0, Index(1) << 40);
  decoder.norm_epsilon = file.number(prefix + "attention.layer_norm_rms_epsilon");
  decoder.sliding_window = file.integer_or(prefix + "attention.sliding_window", 0, 0, Index(1) << 40);
  if (file.integer_or(prefix + "expert_count", 0, 0, most) != 0)
    file.fail(prefix + "expert_count", "experts are read from Hugging Face directories only");

  const Tensor& embedding = file.at("token_embd.weight");
  if (embedding.shape.size() != 2) embedding.fail("shape must be a matrix, got " + embedding.shape_text());
  decoder.vocabulary = embedding.shape.front();
  const std::string vocabulary = prefix + "vocab_size";
  if (file.integer_or(vocabulary, decoder.vocabulary, 1, most) != decoder.vocabulary)
    file.fail(vocabulary, "must be the rows of token_embd.weight (" + std::to_string(decoder.vocabulary) + ")");
  decoder.tied_embeddings = file.find("output.weight") == nullptr;

  decoder.query_key_value_bias = type == "qwen2" || file.find("blk.0.attn_q.bias") != nullptr;
  decoder.output_bias = file.find("blk.0.attn_output.bias") != nullptr;
  for (const char* map : {"gate", "up", "down"})
    if (const Tensor* bias = file.find("blk.0.ffn_" + std::string(map) + ".bias"))
      bias->fail("biases of the feed-forward are not supported");
  decoder.bidirectional = !file.boolean_or(prefix + "attention.causal", true);
  decoder.query_key_norm = type == "qwen3";
  decoder.rotary_style = type == "llama" ? RotaryStyle::interleaved : RotaryStyle::halves;
  if (type == "gemma") {
    decoder.activation = GateActivation::gelu_tanh;
    decoder.embedding_scale = std::sqrt(static_cast<double>(decoder.width));
  }

  const double theta = file.number_or(prefix + "rope.freq_base", 10000);
  if (!(theta > 1)) file.fail(prefix + "rope.freq_base", "must be above 1, got " + std::to_string(theta));
  const RotaryScaling scaling = detail::read_rotary_scaling(file, prefix);
  decoder.rotary_amplitude = scaling.amplitude;
  if (decoder.head_dim <= 1 << 14) {
    decoder.inverse_frequencies = rotary_frequencies(theta, decoder.head_dim, scaling);
    detail::apply_frequency_factors(file, decoder.inverse_frequencies);
  }
  if (const std::string problem = decoder.problem(); !problem.empty()) throw FileError(file.name(), "", problem);
  return decoder;
}

}  // namespace embedpool::io
