#pragma once
#include <memory>
#include <vector>

#include "embedpool/model/decoder_tensor.hpp"
#include "embedpool/nn/feed_forward.hpp"
#include "embedpool/nn/self_attention.hpp"

namespace embedpool {

/// The weights of one block.
template <Real S>
struct DecoderBlockWeights {
  SelfAttentionWeights<S> attention{};
  FeedForwardWeights<S> feed_forward{};
};

/// The weights of a decoder. Matrices stay where and as they are stored (WeightView); norms and biases are S.
/// Copies share the stored matrices: `keep_alive` holds whatever owns them (a mapped file, a merged matrix).
template <Real S>
struct DecoderWeights {
  WeightView embedding{};  ///< [vocabulary, D]
  std::vector<DecoderBlockWeights<S>> blocks{};
  std::vector<S> final_norm{};  ///< [D]
  std::vector<std::shared_ptr<const void>> keep_alive{};
};

/// Calls f(place, tensor) for every tensor that a decoder of this config has, in file order; `tensor` is a WeightView or
/// a std::vector<S>, const when `weights` is. Blocks and experts are made when they are missing, so that one function
/// serves loading, checking, adapters and files.
template <class Weights, class F>
void for_each_tensor(Weights& weights, const DecoderConfig& config, F&& f) {
  using T = DecoderTensor;
  f(DecoderTensorPlace{T::embedding}, weights.embedding);
  if constexpr (!std::is_const_v<Weights>) weights.blocks.resize(static_cast<std::size_t>(config.layers));
  for (Index layer = 0; layer < config.layers; ++layer) {
    auto& [attention, feed_forward] = weights.blocks[static_cast<std::size_t>(layer)];
    const auto visit = [&](T kind, auto& tensor) { f(DecoderTensorPlace{kind, layer}, tensor); };
    visit(T::attention_norm, attention.norm);
    visit(T::query, attention.query);
    visit(T::key, attention.key);
    visit(T::value, attention.value);
    visit(T::output, attention.output);
    if (config.query_key_value_bias) {
      visit(T::query_bias, attention.query_bias);
      visit(T::key_bias, attention.key_bias);
      visit(T::value_bias, attention.value_bias);
    }
    if (config.output_bias) visit(T::output_bias, attention.output_bias);
    if (config.query_key_norm) {
      visit(T::query_norm, attention.query_norm);
      visit(T::key_norm, attention.key_norm);
    }
    visit(T::feed_forward_norm, feed_forward.norm);
    if (config.experts > 0) visit(T::router, feed_forward.router);
    const Index experts = config.experts > 0 ? config.experts : 1;
    if constexpr (!std::is_const_v<Weights>) feed_forward.experts.resize(static_cast<std::size_t>(experts));
    for (Index e = 0; e < experts; ++e) {
      auto& gated = feed_forward.experts[static_cast<std::size_t>(e)];
      const Index expert = config.experts > 0 ? e : -1;
      f(DecoderTensorPlace{T::gate, layer, expert}, gated.gate);
      f(DecoderTensorPlace{T::up, layer, expert}, gated.up);
      f(DecoderTensorPlace{T::down, layer, expert}, gated.down);
    }
  }
  f(DecoderTensorPlace{T::final_norm}, weights.final_norm);
}

}  // namespace embedpool
