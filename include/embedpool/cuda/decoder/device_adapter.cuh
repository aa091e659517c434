#pragma once
#include <span>
#include <vector>

#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/kernels/convert.cuh"
#include "embedpool/cuda/trained_rows.hpp"
#include "embedpool/model/trained_block.hpp"

namespace embedpool::cuda {

/// A LoRA pair on a device: its parameters and their gradients in float, and A and B rounded to T for products.
///
/// Shapes  A [r, in], B [out, r], rows of B in the order in which the decoder stores those of W
template <DeviceElement T>
struct DeviceLoraPair {
  DecoderTensorPlace place{};
  Index number = 0;  ///< of the entry in the adapter: it has dropout coins of its own
  float scale = 1;
  Rows<const T> a{}, b{};
  Rows<float> da{}, db{};
};

/// A LoRA adapter on a device: every parameter in one run of floats, the gradients in another of the same layout, so that
/// an optimiser takes each as one tensor.
template <DeviceElement T>
class DeviceAdapter {
 public:
  /// Copies an adapter to the device, with gradients of zero. Waits.
  /// Errors  ShapeError when the adapter does not fit the decoder
  template <Device D>
  DeviceAdapter(D& device, const Decoder<float>& decoder, const LoraAdapter<float>& adapter) : config_(decoder.config()) {
    embedpool::detail::check_trained(TrainedDecoder<float>{decoder, adapter});
    for (const auto& [place, lora] : adapter.entries) size_ += lora.a.size() + lora.b.size();
    float* const gradients = gradients_.reserve(device, size_);
    T* const rounded_values = rounded_.reserve(device, size_);
    Index at = 0;
    const auto rows = [&](auto* memory, Index count, Index width) { return Rows(memory + at, count, width); };
    for (const auto& [place, lora] : adapter.entries) {
      DeviceLoraPair<T>& pair = pairs_.emplace_back();
      pair.place = place;
      pair.number = static_cast<Index>(pairs_.size()) - 1;
      pair.scale = lora.scale;
      pair.a = rows(rounded_values, lora.a.rows(), lora.a.cols());
      pair.da = rows(gradients, lora.a.rows(), lora.a.cols());
      at += lora.a.size();
      pair.b = rows(rounded_values, lora.b.rows(), lora.b.cols());
      pair.db = rows(gradients, lora.b.rows(), lora.b.cols());
      at += lora.b.size();
    }
    clear_gradients(device);
    upload(device, adapter);
  }

  /// New values for an adapter of the same shapes. Waits.
  template <Device D>
  void upload(D& device, const LoraAdapter<float>& adapter) {
    std::vector<float> values;
    for (const auto& [place, lora] : adapter.entries) {
      const LoraPair<float> stored = embedpool::detail::in_stored_order(lora, place.kind, config_);
      values.insert(values.end(), stored.a.data(), stored.a.data() + stored.a.size());
      values.insert(values.end(), stored.b.data(), stored.b.data() + stored.b.size());
    }
    require_equal("DeviceAdapter", "values of the adapter", static_cast<Index>(values.size()), size_);
    parameters_.upload(device, std::span<const float>(values));
    parameters_changed(device);
    device.wait();
  }

  /// A and B of each pair in turn, for an optimiser to change. Rows of B lie in the device's order: see TrainedRows.
  std::vector<TrainedRows> tensors() const {
    std::vector<TrainedRows> list;
    for (const DeviceLoraPair<T>& pair : pairs_) {
      const auto add = [&](Rows<float> gradient, bool reordered) {
        const Rows<float> value(parameters_.data() + (gradient.data - gradients_.data()), gradient.rows, gradient.cols);
        list.push_back({value, gradient, reordered ? config_.head_dim : 0});
      };
      add(pair.da, false);
      add(pair.db, embedpool::detail::is_reordered(pair.place, config_));
    }
    return list;
  }
  template <Device D>
  void clear_gradients(D& device) const {
    device.clear(gradients_.data(), size_ * Index(sizeof(float)));
  }
  /// Rounds the parameters again; to be called after they were changed.
  template <Device D>
  void parameters_changed(D& device) const {
    if (size_ > 0)
      device.launch(Convert<float, T>{Rows<const float>(parameters_.data(), 1, size_), Rows<T>(rounded_.data(), 1, size_)});
  }

  /// The pairs of one matrix, in the order in which adapters were stacked.
  std::vector<const DeviceLoraPair<T>*> pairs_of(DecoderTensor kind, Index block) const {
    std::vector<const DeviceLoraPair<T>*> found;
    for (const DeviceLoraPair<T>& pair : pairs_)
      if (pair.place == DecoderTensorPlace{kind, block - 1}) found.push_back(&pair);
    return found;
  }
  /// The lowest block, from 1, that has a pair; `none` without any.
  Index lowest_block(Index none) const noexcept {
    Index lowest = none;
    for (const DeviceLoraPair<T>& pair : pairs_) lowest = std::min(lowest, pair.place.layer + 1);
    return lowest;
  }

 private:
  DecoderConfig config_;
  Index size_ = 0;
  DeviceBuffer<float> parameters_, gradients_;
  DeviceBuffer<T> rounded_;
  std::vector<DeviceLoraPair<T>> pairs_;
};

}  // namespace embedpool::cuda
