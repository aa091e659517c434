#pragma once
// Small decoders with random weights, one for each architecture, and texts to run through them.
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "embedpool/core/batch.hpp"
#include "embedpool/model/decoder.hpp"
#include "embedpool/model/rotary_scaling.hpp"

namespace embedpool::test {

inline const std::vector<std::string>& architectures() {
  static const std::vector<std::string> names{"llama", "llama-gguf", "mistral", "qwen2", "qwen3", "gemma", "mixtral"};
  return names;
}

/// Sizes that are no multiples of a register, so that every remainder occurs.
inline DecoderConfig small_config(const std::string& architecture) {
  DecoderConfig config;
  config.architecture = architecture;
  config.width = 36;
  config.layers = 3;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = architecture == "qwen3" ? 14 : 10;
  config.feed_forward_width = 54;
  config.vocabulary = 61;
  config.inverse_frequencies = rotary_frequencies(10000, config.head_dim);
  if (architecture == "llama-gguf") config.rotary_style = RotaryStyle::interleaved;
  if (architecture == "mistral") config.sliding_window = 4;
  if (architecture == "qwen2") config.query_key_value_bias = true;
  if (architecture == "qwen3") config.query_key_norm = true, config.output_bias = true;
  if (architecture == "gemma") config.activation = GateActivation::gelu_tanh, config.embedding_scale = 6;
  if (architecture == "mixtral") config.experts = 5, config.experts_per_token = 2;
  return config;
}

/// Weights that keep the states near 1: matrices of deviation 1/sqrt(in), gains near 1. Matrices are stored as S.
template <Real S>
Decoder<S> random_decoder(const DecoderConfig& config, unsigned seed = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  DecoderWeights<S> weights;
  for_each_tensor(weights, config, [&](const DecoderTensorPlace& place, auto& target) {
    const auto [rows, cols] = tensor_shape(place.kind, config);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(target)>, WeightView>) {
      auto values = std::make_shared<std::vector<S>>(static_cast<std::size_t>(rows * cols));
      const double deviation = place.kind == DecoderTensor::embedding ? 1.0 : 1.0 / std::sqrt(static_cast<double>(cols));
      for (S& value : *values) value = static_cast<S>(deviation * normal(generator));
      target = {reinterpret_cast<const std::byte*>(values->data()), sizeof(S) == 8 ? Format::F64 : Format::F32, rows, cols};
      weights.keep_alive.push_back(values);
    } else {
      target.resize(static_cast<std::size_t>(cols));
      for (S& value : target) value = static_cast<S>((is_norm(place.kind) ? 1.0 : 0.0) + 0.2 * normal(generator));
    }
  });
  return {config, std::move(weights)};
}

using Text = std::vector<TokenId>;

inline Text random_text(Index tokens, Index vocabulary, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<TokenId> id(0, static_cast<TokenId>(vocabulary - 1));
  Text text(static_cast<std::size_t>(tokens));
  for (TokenId& token : text) token = id(generator);
  return text;
}

/// Texts shorter and longer than windows, tiles and rows of a job; one has a single token.
inline std::vector<Text> random_texts(Index vocabulary) {
  std::vector<Text> texts;
  unsigned seed = 100;
  for (const Index tokens : {7, 1, 19, 2, 70, 5, 33}) texts.push_back(random_text(tokens, vocabulary, seed++));
  return texts;
}

/// The second token on counts as the text's own, so that prefix masks have a prefix.
inline TextShape shape_of(const Text& text) {
  const auto tokens = static_cast<Index>(text.size());
  const Index prompt = tokens / 3;
  return {tokens, {prompt, tokens}, prompt};
}

inline Batch batch_of(const std::vector<Text>& texts) {
  Batch batch;
  for (const Text& text : texts) batch.add(text, shape_of(text));
  return batch;
}

}  // namespace embedpool::test
