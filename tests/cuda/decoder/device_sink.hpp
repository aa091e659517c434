#pragma once
// WeightedSink on a device: keeps what is pushed, and hands back the gradient of a fixed random mix of it.
#include <map>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/heads/head_rows.cuh"
#include "embedpool/cuda/packed_texts.hpp"
#include "model/random_decoder.hpp"
#include "model/weighted_sink.hpp"

namespace embedpool::test {

class DeviceWeightedSink {
 public:
  DeviceWeightedSink(TestDevice& device, const Segments& segments, const WeightedSink<float>& sink)
      : device_(&device), segments_(&segments), sink_(sink) {}

  Index last_layer() const noexcept { return sink_.last_layer(); }
  bool wants(Index layer) const noexcept { return sink_.wants(layer); }
  Interval reads(const TextShape& shape) const noexcept { return sink_.reads(shape); }

  /// Keeps the rows that the sink reads, in packed order.
  void push(Index layer, Rows<const float> states, const cuda::PackedTexts& texts) {
    std::vector<float> all(static_cast<std::size_t>(states.rows * states.cols));
    device_->copy_out(all.data(), states.data, states.rows * states.cols * Index(sizeof(float)));
    device_->wait();
    each(states.cols, texts, [&](Index, Index, Index j, Index row) {
      layers[layer].push_back(all[static_cast<std::size_t>(row * states.cols + j)]);
    });
  }
  void backward_layer(Index layer, Rows<const float> states, const cuda::PackedTexts& texts, Rows<float> dstates) {
    std::vector<float> weights(static_cast<std::size_t>(states.rows * states.cols), 0.0f);
    each(states.cols, texts, [&](Index b, Index t, Index j, Index row) {
      weights[static_cast<std::size_t>(row * states.cols + j)] = WeightedSink<float>::weight(layer, b, t, j);
    });
    const OnDevice<float> added(*device_, weights, states.rows, states.cols);
    device_->launch(cuda::head_kernels::AddRows{added.rows(), dstates});
    device_->wait();
  }

  std::map<Index, std::vector<float>> layers;

 private:
  template <class F>
  void each(Index cols, const cuda::PackedTexts& texts, F&& f) const {
    const bool all = texts.rows == segments_->rows();
    Index row = 0;
    for (Index b = 0; b < segments_->size(); ++b) {
      const TextShape& shape = segments_->shape(b);
      const Interval read = reads(shape), held = all ? Interval{0, shape.tokens} : read;
      for (Index t = held.begin; t < held.end; ++t, ++row)
        for (Index j = 0; read.contains(t) && j < cols; ++j) f(b, t, j, row);
    }
  }

  TestDevice* device_;
  const Segments* segments_;
  WeightedSink<float> sink_;
};

/// The same rows as the CPU pushes them.
struct KeepingSink {
  WeightedSink<float> sink;
  std::map<Index, std::vector<float>> layers{};

  Index last_layer() const noexcept { return sink.last_layer(); }
  bool wants(Index layer) const noexcept { return sink.wants(layer); }
  Interval reads(const TextShape& shape) const noexcept { return sink.reads(shape); }
  void push(Index layer, const LayerStates<float>& states) {
    sink.each(states, [&](Index, Index, Index j, Index row) { layers[layer].push_back(states.buffer(row, j)); });
  }
};

/// The architectures that the device computes.
inline std::vector<std::string> dense_architectures() {
  std::vector<std::string> names = architectures();
  std::erase(names, "mixtral");
  return names;
}

}  // namespace embedpool::test
