#pragma once
#include <deque>
#include <initializer_list>
#include <vector>

#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/element.hpp"
#include "embedpool/model/decoder.hpp"

namespace embedpool::cuda {

/// The weights of one block on a device. Matrices that read the same input lie one under the other, so that one product
/// computes them; a null pointer means that the model has no such tensor.
template <DeviceElement T>
struct DeviceBlock {
  const float *attention_norm = nullptr, *feed_forward_norm = nullptr;  ///< [D]
  const float *query_norm = nullptr, *key_norm = nullptr;               ///< [d]
  Rows<const T> query_key_value{};                                      ///< [(NH + 2 NKV) d, D]
  const T* query_key_value_bias = nullptr;                              ///< [(NH + 2 NKV) d]
  Rows<const T> output{};                                               ///< [D, NH d]
  const float* output_bias = nullptr;                                   ///< [D]
  Rows<const float> router{};                                           ///< [E, D], without data in a dense model, E = 1
  Rows<const T> gate_up{};                                              ///< [E 2 F, D], gate and up of an expert together
  Rows<const T> down{};                                                 ///< [E D, F]
};

/// A decoder's weights in device memory: matrices rounded to T from whatever format they are stored in, and with them the
/// biases of queries, keys and values, as products take them; other vectors and routers in float.
///
/// Requires  the device outlives this
template <DeviceElement T>
class DeviceDecoderWeights {
 public:
  template <Device D>
  DeviceDecoderWeights(D& device, const Decoder<float>& decoder) : config_(decoder.config()) {
    const DecoderWeights<float>& weights = decoder.weights();
    embedding_ = matrix(device, {&weights.embedding});
    final_norm_ = vector(device, {&weights.final_norm});
    for (const auto& [attention, feed_forward] : weights.blocks) {
      std::vector<const WeightView*> gates_and_ups, downs;
      for (const GatedWeights& expert : feed_forward.experts) {
        gates_and_ups.insert(gates_and_ups.end(), {&expert.gate, &expert.up});
        downs.push_back(&expert.down);
      }
      blocks_.push_back({vector(device, {&attention.norm}), vector(device, {&feed_forward.norm}),
                         vector(device, {&attention.query_norm}), vector(device, {&attention.key_norm}),
                         matrix(device, {&attention.query, &attention.key, &attention.value}),
                         bias(device, {&attention.query_bias, &attention.key_bias, &attention.value_bias}),
                         matrix(device, {&attention.output}), vector(device, {&attention.output_bias}),
                         config_.experts > 0 ? matrix(device, {&feed_forward.router}, routers_) : Rows<const float>(),
                         matrix(device, gates_and_ups), matrix(device, downs)});
    }
  }

  const DecoderConfig& config() const noexcept { return config_; }
  Rows<const T> embedding() const noexcept { return embedding_; }
  const float* final_norm() const noexcept { return final_norm_; }
  /// Block `layer`, from 1.
  const DeviceBlock<T>& block(Index layer) const noexcept { return blocks_[static_cast<std::size_t>(layer - 1)]; }

 private:
  /// The parts one under the other, by way of a copy of one of them at a time.
  template <DeviceElement To, Device D>
  static Rows<const To> matrix(D& device, const std::vector<const WeightView*>& parts, std::deque<DeviceBuffer<To>>& memory) {
    const Index cols = parts.front()->cols;
    Index rows = 0;
    for (const WeightView* part : parts) rows += part->rows;
    const Rows<To> all = memory.emplace_back().rows(device, rows, cols);
    std::vector<float> row(static_cast<std::size_t>(cols));
    std::vector<To> values;
    To* to = all.data;
    for (const WeightView* part : parts) {
      values.clear();
      for (Index i = 0; i < part->rows; ++i) {
        decode_row(*part, i, row.data());
        for (const float x : row) values.push_back(rounded<To>(x));
      }
      device.copy_in(to, values.data(), static_cast<Index>(values.size() * sizeof(To)));
      device.wait();  // `values` is used again
      to += values.size();
    }
    return all;
  }
  template <Device D>
  Rows<const T> matrix(D& device, const std::vector<const WeightView*>& parts) {
    return matrix(device, parts, matrices_);
  }
  using Vectors = std::initializer_list<const std::vector<float>*>;
  /// The parts one behind the other; null where there is none.
  template <DeviceElement To, Device D>
  static const To* vector(D& device, Vectors parts, std::deque<DeviceBuffer<To>>& memory) {
    std::vector<To> values;
    for (const auto* part : parts)
      for (const float x : *part) values.push_back(rounded<To>(x));
    if (values.empty()) return nullptr;
    const To* const data = memory.emplace_back().upload(device, std::span<const To>(values));
    device.wait();
    return data;
  }
  template <Device D>
  const float* vector(D& device, Vectors parts) {
    return vector(device, parts, vectors_);
  }
  template <Device D>
  const T* bias(D& device, Vectors parts) {
    return vector(device, parts, biases_);
  }

  DecoderConfig config_;
  Rows<const T> embedding_;  ///< [vocabulary, D]
  const float* final_norm_ = nullptr;
  std::vector<DeviceBlock<T>> blocks_;
  std::deque<DeviceBuffer<T>> matrices_;
  std::deque<DeviceBuffer<float>> routers_;
  std::deque<DeviceBuffer<T>> biases_;
  std::deque<DeviceBuffer<float>> vectors_;
};

}  // namespace embedpool::cuda
