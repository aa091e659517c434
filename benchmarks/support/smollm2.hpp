#pragma once
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "embedpool/io/load_decoder.hpp"
#include "embedpool/model/rotary_scaling.hpp"

namespace embedpool::bench {

/// The sizes of SmolLM2-135M.
inline DecoderConfig smollm2_config() {
  DecoderConfig config;
  config.width = 576;
  config.layers = 30;
  config.heads = 9;
  config.kv_heads = 3;
  config.head_dim = 64;
  config.feed_forward_width = 1536;
  config.vocabulary = 49152;
  config.inverse_frequencies = rotary_frequencies(100000, config.head_dim);
  return config;
}

/// A Q4_1 matrix of random values of deviation 1 / sqrt(cols): blocks of f16 scale, f16 minimum, 32 nibbles.
inline WeightView random_matrix(Index rows, Index cols, std::mt19937& generator,
                                std::vector<std::shared_ptr<const void>>& owners) {
  auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(rows * cols / 32 * 20));
  const float deviation = 1.0f / std::sqrt(static_cast<float>(cols));
  const f16 scale = to_f16(deviation / 4.6f), minimum = to_f16(-7.5f * deviation / 4.6f);  // 16 equal steps
  for (std::byte& byte : *bytes) byte = static_cast<std::byte>(generator());
  for (std::size_t i = 0; i < bytes->size(); i += 20) {
    std::memcpy(bytes->data() + i, &scale, 2);
    std::memcpy(bytes->data() + i + 2, &minimum, 2);
  }
  owners.push_back(bytes);
  return {bytes->data(), Format::Q4_1, rows, cols};
}

inline Decoder<float> random_smollm2() {
  const DecoderConfig config = smollm2_config();
  std::mt19937 generator(1);
  DecoderWeights<float> weights;
  for_each_tensor(weights, config, [&](const DecoderTensorPlace& place, auto& target) {
    const DecoderTensorShape shape = tensor_shape(place.kind, config);
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(target)>, WeightView>)
      target = random_matrix(shape.rows, shape.cols, generator, weights.keep_alive);
    else
      target.assign(static_cast<std::size_t>(shape.cols), 1.0f);
  });
  return {config, std::move(weights)};
}

/// The file that EMBEDPOOL_SMOLLM2_GGUF names, or random weights of the same sizes and format.
inline Decoder<float> smollm2() {
  const char* path = std::getenv("EMBEDPOOL_SMOLLM2_GGUF");
  return path != nullptr && *path != 0 ? io::load_decoder(std::filesystem::path(path)) : random_smollm2();
}

/// Texts of random ids; `prompt` ids in front of each are the same.
inline Batch random_batch(const std::vector<Index>& lengths, Index prompt = 0) {
  std::mt19937 generator(2);
  std::uniform_int_distribution<TokenId> id(0, 49000);
  std::vector<TokenId> in_front(static_cast<std::size_t>(prompt));
  for (TokenId& token : in_front) token = id(generator);
  Batch batch;
  for (const Index tokens : lengths) {
    std::vector<TokenId> ids = in_front;
    for (Index t = 0; t < tokens; ++t) ids.push_back(id(generator));
    batch.add(ids);
  }
  return batch;
}

/// `count` lengths between the two bounds, in no order.
inline std::vector<Index> random_lengths(Index count, Index least, Index most) {
  std::mt19937 generator(5);
  std::uniform_int_distribution<Index> length(least, most);
  std::vector<Index> lengths(static_cast<std::size_t>(count));
  for (Index& tokens : lengths) tokens = length(generator);
  return lengths;
}

/// Operations of the linear maps for one token of one block. Multiply-adds count two.
inline double linear_operations(const DecoderConfig& c) {
  return 2 * static_cast<double>(2 * c.width * (c.query_width() + c.kv_width()) + 3 * c.width * c.feed_forward_width);
}

/// What a causal forward pass has to compute: all rows of all blocks, and the pairs that the mask lets through.
inline double causal_operations(const DecoderConfig& c, const Segments& segments) {
  double pairs = 0;
  for (Index b = 0; b < segments.size(); ++b) {
    const auto tokens = static_cast<double>(segments.shape(b).tokens);
    pairs += tokens * (tokens + 1) / 2;
  }
  return static_cast<double>(c.layers) * (linear_operations(c) * static_cast<double>(segments.rows()) +
                                          4 * pairs * static_cast<double>(c.query_width()));
}

/// Takes the last layer: every row of it, or only the last token's.
struct LastLayerSink {
  Index layers;
  bool last_token = false;
  Index last_layer() const noexcept { return layers; }
  bool wants(Index layer) const noexcept { return layer == layers; }
  Interval reads(const TextShape& shape) const noexcept { return {last_token ? shape.tokens - 1 : 0, shape.tokens}; }
  void push(Index, const LayerStates<float>& states) const noexcept { seen = states.buffer.data; }
  mutable const volatile void* seen = nullptr;
};

}  // namespace embedpool::bench
