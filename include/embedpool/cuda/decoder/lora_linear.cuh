#pragma once
#include "embedpool/cuda/decoder/device_adapter.cuh"
#include "embedpool/cuda/kernels/dropout.cuh"

namespace embedpool::cuda {

/// The pairs on one linear map; empty for a map of the base alone.
template <DeviceElement T>
using DevicePairs = std::vector<const DeviceLoraPair<T>*>;

/// s drop(x) A^T of each pair, [N, r], kept from forward for the gradient of B.
template <DeviceElement T>
using DeviceLoraProducts = std::vector<DeviceBuffer<T>>;

/// Memory that one map after another uses.
template <DeviceElement T>
struct DeviceLoraScratch {
  DeviceBuffer<T> dropped{};   ///< [N, in] drop(x)
  DeviceBuffer<T> dproduct{};  ///< [N, r]
  DeviceBuffer<T> behind{};    ///< [N, in] gradient behind the dropout
};

namespace detail {
/// drop(x) in scratch memory, or x itself without dropout.
template <DeviceElement T, Device D>
Rows<const T> dropped(D& device, Rows<const T> x, const DeviceDropout& dropout, Index place, DeviceLoraScratch<T>& scratch) {
  if (!dropout.active()) return x;
  const Rows<T> out = scratch.dropped.rows(device, x.rows, x.cols);
  device.launch(DropoutForward<T>{x, dropout.at(place), out});
  return out;
}
}  // namespace detail

/// kept = s drop(x) A^T for each pair.
template <DeviceElement T, Device D>
void lora_products(D& device, Rows<const T> x, const DevicePairs<T>& pairs, const DeviceDropout& dropout,
                   DeviceLoraProducts<T>& kept, DeviceLoraScratch<T>& scratch) {
  if (kept.size() < pairs.size()) kept.resize(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Product<T> product = linear(detail::dropped(device, x, dropout, pairs[i]->number, scratch), pairs[i]->a,
                                kept[i].rows(device, x.rows, pairs[i]->a.rows));
    product.alpha = pairs[i]->scale;
    device.multiply(product);
  }
}

/// y += sum over the pairs of s (drop(x) A^T) B^T, unmerged.
///
/// Shapes  x [N, in], y [N, out]
template <DeviceElement T, DeviceElement U, Device D>
void lora_forward(D& device, Rows<const T> x, const DevicePairs<T>& pairs, const DeviceDropout& dropout, Rows<U> y,
                  DeviceLoraProducts<T>& kept, DeviceLoraScratch<T>& scratch) {
  lora_products(device, x, pairs, dropout, kept, scratch);
  for (std::size_t i = 0; i < pairs.size(); ++i)
    device.multiply(linear(Rows<const T>(kept[i].rows(device, x.rows, pairs[i]->a.rows)), pairs[i]->b, y, 1));
}

/// The way back: dx += sum over pairs of drop'(s (dy B) A), dA += (s dy B)^T drop(x), dB += dy^T (s drop(x) A^T).
///
/// Shapes  x [N, in] as forward saw it, dy [N, out], dx [N, in], or without data where no gradient is wanted
template <DeviceElement T, DeviceElement U, Device D>
void lora_backward(D& device, Rows<const T> x, Rows<const T> dy, const DevicePairs<T>& pairs, const DeviceDropout& dropout,
                   DeviceLoraProducts<T>& kept, Rows<U> dx, DeviceLoraScratch<T>& scratch) {
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const DeviceLoraPair<T>& pair = *pairs[i];
    const Index rank = pair.a.rows;
    const Rows<T> dproduct = scratch.dproduct.rows(device, x.rows, rank);
    Product<T> through_b = linear_input_gradient(dy, pair.b, dproduct);
    through_b.alpha = pair.scale;
    device.multiply(through_b);
    device.multiply(linear_weight_gradient(dy, Rows<const T>(kept[i].rows(device, x.rows, rank)), pair.db, 1));
    device.multiply(linear_weight_gradient(Rows<const T>(dproduct), detail::dropped(device, x, dropout, pair.number, scratch),
                                           pair.da, 1));
    if (dx.data == nullptr) continue;
    if (!dropout.active()) {
      device.multiply(linear_input_gradient(Rows<const T>(dproduct), pair.a, dx, 1));
      continue;
    }
    const Rows<T> behind = scratch.behind.rows(device, x.rows, x.cols);
    device.multiply(linear_input_gradient(Rows<const T>(dproduct), pair.a, behind));
    device.launch(DropoutBackward<T, U>{behind, dropout.at(pair.number), dx});
  }
}

}  // namespace embedpool::cuda
