#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "embedpool/model/decoder_gradients.hpp"
#include "embedpool/nn/feed_forward_training.hpp"
#include "embedpool/nn/self_attention_training.hpp"

namespace embedpool {

/// A decoder, the adapter on it, and where the gradients of what is trained go (null: a forward pass alone).
/// Adapters that are stacked are entries of the same place, one after the other.
template <Real S>
struct TrainedDecoder {
  const Decoder<S>& decoder;
  const LoraAdapter<S>& adapter;
  DecoderGradients<S>* gradients = nullptr;
};

/// One block in training.
template <Real S>
struct TrainedBlock {
  TrainedAttention<S> attention{};
  TrainedFeedForward<S> feed_forward{};
};

namespace detail {

template <Real S>
SelfAttentionShape<S> attention_shape(const DecoderConfig& config) {
  return {{config.heads, config.kv_heads, config.head_dim, config.attention_scale()},
          static_cast<S>(config.norm_epsilon),
          config.rotary_style};
}

template <Real S>
FeedForwardShape<S> feed_forward_shape(const DecoderConfig& config) {
  return {config.activation, static_cast<S>(config.norm_epsilon), 0};
}

/// Throws ShapeError naming the tensor unless the adapter and the gradients fit the decoder.
template <Real S>
void check_trained(const TrainedDecoder<S>& model) {
  using T = DecoderTensor;
  const DecoderConfig& config = model.decoder.config();
  if (config.experts > 0) throw ShapeError("training: mixtures of experts have no backward pass");
  for (const auto& [place, lora] : model.adapter.entries) {
    const std::string where = "LoRA: " + describe(place);
    constexpr T maps[] = {T::query, T::key, T::value, T::output, T::gate, T::up, T::down};
    if (std::find(std::begin(maps), std::end(maps), place.kind) == std::end(maps) || place.expert >= 0 || place.layer < 0 ||
        place.layer >= config.layers)
      throw ShapeError(where + " is no linear map of this model");
    const auto [rows, cols] = tensor_shape(place.kind, config);
    require_equal(where, "columns of A", lora.a.cols(), cols);
    require_equal(where, "rows of B", lora.b.rows(), rows);
    require_equal(where, "rank of B", lora.b.cols(), lora.a.rows());
  }
  if (model.gradients == nullptr) return;
  const auto& gradients = model.gradients->lora;
  require_equal("training", "gradients of LoRA pairs", static_cast<Index>(gradients.size()),
                static_cast<Index>(model.adapter.entries.size()));
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const auto& [place, lora] = model.adapter.entries[i];
    if (gradients[i].a.size() == 0 && gradients[i].b.size() == 0) continue;
    require_equal("training: gradient of " + describe(place), "values of A", gradients[i].a.size(), lora.a.size());
    require_equal("training: gradient of " + describe(place), "values of B", gradients[i].b.size(), lora.b.size());
  }
}

/// The lowest block (from 1) that holds something trained, 0 for the embedding table, L + 1 when nothing is.
template <Real S>
Index lowest_trained(const TrainedDecoder<S>& model) {
  const Index layers = model.decoder.config().layers;
  Index lowest = layers + 1;
  if (model.gradients == nullptr) return lowest;
  for (std::size_t i = 0; i < model.gradients->lora.size(); ++i)
    if (model.gradients->lora[i].a.size() > 0) lowest = std::min(lowest, model.adapter.entries[i].place.layer + 1);
  for (const auto& [place, value] : model.gradients->base) {
    Index block = place.layer + 1;                                      // the embedding table: 0
    if (place.kind == DecoderTensor::final_norm) block = layers;
    lowest = std::min(lowest, block);
  }
  return lowest;
}

/// Rows of B, and so of its gradient, lie in another order than those of W where W is stored for interleaved rotation.
inline bool is_reordered(const DecoderTensorPlace& place, const DecoderConfig& config) noexcept {
  return config.rotary_style == RotaryStyle::interleaved &&
         (place.kind == DecoderTensor::query || place.kind == DecoderTensor::key);
}

}  // namespace detail

/// Block `layer` (from 1) of a model, its pairs taken from `pairs` and gradients from `lora_gradients` (both as the
/// decoder stores its rows; the latter may be empty).
template <Real S>
TrainedBlock<S> trained_block(const TrainedDecoder<S>& model, Index layer, const std::vector<const LoraPair<S>*>& pairs,
                              const std::vector<LoraPair<S>*>& lora_gradients) {
  using T = DecoderTensor;
  const DecoderBlockWeights<S>& weights = model.decoder.weights().blocks[static_cast<std::size_t>(layer - 1)];
  const auto gradient = [&](T kind) -> Matrix<S>* {
    return model.gradients == nullptr ? nullptr : model.gradients->find({kind, layer - 1});
  };
  const auto linear = [&](T kind, const WeightView& weight, const std::vector<S>* bias, T bias_kind) {
    TrainedLinear<S> map{weight, bias, {}, gradient(kind), bias != nullptr && !bias->empty() ? gradient(bias_kind) : nullptr};
    for (std::size_t i = 0; i < model.adapter.entries.size(); ++i)
      if (model.adapter.entries[i].place == DecoderTensorPlace{kind, layer - 1})
        map.lora.push_back({pairs[i], lora_gradients.empty() ? nullptr : lora_gradients[i], static_cast<Index>(i)});
    return map;
  };
  const auto& [attention, feed_forward] = weights;
  const GatedWeights& gated = feed_forward.experts.front();
  TrainedBlock<S> block;
  block.attention = {linear(T::query, attention.query, &attention.query_bias, T::query_bias),
                     linear(T::key, attention.key, &attention.key_bias, T::key_bias),
                     linear(T::value, attention.value, &attention.value_bias, T::value_bias),
                     linear(T::output, attention.output, &attention.output_bias, T::output_bias),
                     {&attention.norm, gradient(T::attention_norm)},
                     {&attention.query_norm, gradient(T::query_norm)},
                     {&attention.key_norm, gradient(T::key_norm)}};
  block.feed_forward = {linear(T::gate, gated.gate, nullptr, T::gate), linear(T::up, gated.up, nullptr, T::up),
                        linear(T::down, gated.down, nullptr, T::down), {&feed_forward.norm, gradient(T::feed_forward_norm)}};
  return block;
}

}  // namespace embedpool
