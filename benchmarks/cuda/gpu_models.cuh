#pragma once
#include <memory>
#include <random>

#include "embedpool/core/batch.hpp"
#include "embedpool/model/decoder.hpp"
#include "embedpool/model/rotary_scaling.hpp"

namespace embedpool::bench {

/// The shape of a decoder that is timed; `blocks` may be fewer than the model has, for its blocks are all alike.
struct ModelShape {
  const char* name;
  Index width, blocks, heads, kv_heads, head_dim, feed_forward, vocabulary;
  bool query_key_norm;

  /// Values of its matrices but the embedding table: P of the operations 2 P a token that a forward pass takes.
  double values() const {
    const Index attention = width * head_dim * (2 * heads + 2 * kv_heads);
    return static_cast<double>(blocks) * static_cast<double>(attention + 3 * width * feed_forward);
  }
};
inline constexpr ModelShape small_model{"0.6B (Qwen3)", 1024, 28, 16, 8, 128, 3072, 151936, true};
inline constexpr ModelShape large_model{"7B (Mistral), 8 of its 32 blocks", 4096, 8, 32, 8, 128, 14336, 32000, false};

/// A decoder of that shape with random weights; all matrices share one run of random values.
inline Decoder<float> random_model(const ModelShape& shape) {
  DecoderConfig config;
  config.width = shape.width;
  config.layers = shape.blocks;
  config.heads = shape.heads;
  config.kv_heads = shape.kv_heads;
  config.head_dim = shape.head_dim;
  config.feed_forward_width = shape.feed_forward;
  config.vocabulary = shape.vocabulary;
  config.query_key_norm = shape.query_key_norm;
  config.inverse_frequencies = rotary_frequencies(10000, shape.head_dim);
  const Index most = std::max(shape.vocabulary * shape.width, shape.feed_forward * shape.width);
  auto values = std::make_shared<std::vector<bf16>>(static_cast<std::size_t>(most));
  std::minstd_rand generator(1);
  for (bf16& value : *values) value = to_bf16((static_cast<float>(generator() % 2001) - 1000.0f) * 2e-5f);
  DecoderWeights<float> weights;
  for_each_tensor(weights, config, [&](const DecoderTensorPlace& place, auto& tensor) {
    const auto [rows, cols] = tensor_shape(place.kind, config);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>)
      tensor = {reinterpret_cast<const std::byte*>(values->data()), Format::BF16, rows, cols};
    else
      tensor.assign(static_cast<std::size_t>(cols), 1.0f);
  });
  weights.keep_alive.push_back(values);
  return {config, std::move(weights)};
}

/// Packed texts of about `tokens` tokens: all of `longest`, or ragged, from a fifth of it to all.
inline Batch texts_of(Index tokens, Index longest, bool ragged, Index vocabulary) {
  Batch batch;
  std::minstd_rand generator(2);
  for (Index all = 0; all < tokens;) {
    const Index length = ragged ? longest / 5 + static_cast<Index>(generator()) % (longest - longest / 5 + 1) : longest;
    std::vector<TokenId> ids;
    for (Index t = 0; t < length; ++t) ids.push_back(static_cast<TokenId>(static_cast<Index>(generator()) % vocabulary));
    batch.add(ids);
    all += length;
  }
  return batch;
}

}  // namespace embedpool::bench
