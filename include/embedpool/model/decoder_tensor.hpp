#pragma once
#include <string>

#include "embedpool/model/decoder_config.hpp"

namespace embedpool {

/// Every kind of tensor that a decoder of the Llama family may have. Files name them differently; the model knows these.
enum class DecoderTensor {
  embedding, final_norm,
  attention_norm, query, key, value, output, query_bias, key_bias, value_bias, output_bias, query_norm, key_norm,
  feed_forward_norm, router, gate, up, down
};

/// One tensor of one model: its kind, its block, and its expert (-1 in a dense model).
struct DecoderTensorPlace {
  DecoderTensor kind = DecoderTensor::embedding;
  Index layer = -1;
  Index expert = -1;

  friend constexpr bool operator==(const DecoderTensorPlace&, const DecoderTensorPlace&) = default;
};

/// [rows, cols] of a tensor; vectors have rows 1.
struct DecoderTensorShape {
  Index rows = 0;
  Index cols = 0;
};

/// The shape that a config demands of a kind of tensor.
inline DecoderTensorShape tensor_shape(DecoderTensor kind, const DecoderConfig& c) noexcept {
  switch (kind) {
    case DecoderTensor::embedding: return {c.vocabulary, c.width};
    case DecoderTensor::query: return {c.query_width(), c.width};
    case DecoderTensor::key:
    case DecoderTensor::value: return {c.kv_width(), c.width};
    case DecoderTensor::output: return {c.width, c.query_width()};
    case DecoderTensor::query_bias: return {1, c.query_width()};
    case DecoderTensor::key_bias:
    case DecoderTensor::value_bias: return {1, c.kv_width()};
    case DecoderTensor::query_norm:
    case DecoderTensor::key_norm: return {1, c.head_dim};
    case DecoderTensor::router: return {c.experts, c.width};
    case DecoderTensor::gate:
    case DecoderTensor::up: return {c.feed_forward_width, c.width};
    case DecoderTensor::down: return {c.width, c.feed_forward_width};
    case DecoderTensor::final_norm:
    case DecoderTensor::attention_norm:
    case DecoderTensor::feed_forward_norm:
    case DecoderTensor::output_bias: break;
  }
  return {1, c.width};
}

/// True for the gains of RMSNorms (some files store gain - 1).
constexpr bool is_norm(DecoderTensor kind) noexcept {
  return kind == DecoderTensor::final_norm || kind == DecoderTensor::attention_norm || kind == DecoderTensor::query_norm ||
         kind == DecoderTensor::key_norm || kind == DecoderTensor::feed_forward_norm;
}

/// A name for messages: "block 3, gate, expert 1".
inline std::string describe(const DecoderTensorPlace& place) {
  static constexpr const char* names[] = {
      "embedding", "final norm", "attention norm", "query", "key", "value", "output", "query bias", "key bias",
      "value bias", "output bias", "query norm", "key norm", "feed-forward norm", "router", "gate", "up", "down"};
  std::string text = place.layer < 0 ? "" : "block " + std::to_string(place.layer) + ", ";
  text += names[static_cast<int>(place.kind)];
  return place.expert < 0 ? text : text + ", expert " + std::to_string(place.expert);
}

}  // namespace embedpool
