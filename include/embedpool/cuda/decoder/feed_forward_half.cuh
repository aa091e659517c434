#pragma once
#include "embedpool/cuda/decoder/block_context.cuh"
#include "embedpool/cuda/kernels/gated.cuh"
#include "embedpool/cuda/kernels/rms_norm.cuh"
#include "embedpool/cuda/kernels/rms_norm_backward.cuh"

namespace embedpool::cuda {

/// What the feed-forward half makes and its backward reads, besides its input.
///
/// Memory  2 F values a token, and r for each LoRA pair
template <DeviceElement T>
struct DeviceFeedForwardRecord {
  DeviceBuffer<T> gate_up{};  ///< [N, 2 F] before the activation
  DeviceLoraProducts<T> of_gate{}, of_up{}, of_down{};
};

/// Memory that one block after another uses.
template <DeviceElement T>
struct DeviceFeedForwardScratch {
  DeviceBuffer<T> normed{}, dy{};       ///< [N, D]
  DeviceBuffer<T> inner{}, dinner{};    ///< [N, F]
  DeviceBuffer<float> dnormed{};        ///< [N, D]
  DeviceLoraScratch<T> lora{};
};

namespace detail {
/// Calls f with the device version of an activation.
template <class F>
void with_device_activation(GateActivation activation, F&& f) {
  switch (activation) {
    case GateActivation::silu: return f(Silu{});
    case GateActivation::gelu_tanh: return f(GeluTanh{});
    case GateActivation::gelu_erf: return f(GeluErf{});
  }
}

/// inner = act(gate) .* up, in scratch memory.
template <DeviceElement T, Device D>
Rows<const T> gated_inner(D& device, GateActivation activation, Rows<const T> gate_up, DeviceFeedForwardScratch<T>& scratch) {
  const Index width = gate_up.cols / 2;
  const Rows<T> inner = scratch.inner.rows(device, gate_up.rows, width);
  with_device_activation(activation, [&]<class Activation>(Activation) {
    device.launch(Gated<T, Activation>{gate_up.middle_cols(0, width), gate_up.middle_cols(width, width), inner});
  });
  return inner;
}
}  // namespace detail

/// The first two maps: gate and up of RMSNorm(x). With it alone a block is made ready for backward again.
///
/// Shapes  x [N, D]
template <DeviceElement T, Device D>
void feed_forward_half_gates(D& device, const DeviceBlock<T>& w, const DeviceBlockPairs<T>& pairs, float epsilon,
                             const DeviceDropout& dropout, Rows<const float> x, DeviceFeedForwardRecord<T>& record,
                             DeviceFeedForwardScratch<T>& scratch) {
  const Rows<T> normed = scratch.normed.rows(device, x.rows, x.cols);
  device.launch(RmsNorm<float, T>{x, w.feed_forward_norm, epsilon, normed});
  const Index width = w.down.cols;
  const Rows<T> gate_up = record.gate_up.rows(device, x.rows, 2 * width);
  device.multiply(linear(Rows<const T>(normed), w.gate_up, gate_up));
  lora_forward(device, Rows<const T>(normed), pairs.gate, dropout, gate_up.middle_cols(0, width), record.of_gate, scratch.lora);
  lora_forward(device, Rows<const T>(normed), pairs.up, dropout, gate_up.middle_cols(width, width), record.of_up, scratch.lora);
}

/// y += W_down (act(gate) .* up), with gate and up from the record.
///
/// Shapes  y [N, D], which holds x before
/// Oracle  embedpool::feed_forward_training_down
template <DeviceElement T, Device D>
void feed_forward_half_down(D& device, const DeviceBlock<T>& w, const DeviceBlockPairs<T>& pairs, GateActivation activation,
                            const DeviceDropout& dropout, Rows<float> y, DeviceFeedForwardRecord<T>& record,
                            DeviceFeedForwardScratch<T>& scratch) {
  const Rows<const T> gate_up = record.gate_up.rows(device, y.rows, w.gate_up.rows);
  const Rows<const T> inner = detail::gated_inner(device, activation, gate_up, scratch);
  device.multiply(linear(inner, w.down, y, 1));
  lora_forward(device, inner, pairs.down, dropout, y, record.of_down, scratch.lora);
}

/// The way back, in place: from dy to dx in `gradient`. Gradients of LoRA pairs are added to; the record is used up.
/// `remake_products`: gates were made again, what the pairs of W_down keep was not.
///
/// Shapes  x, gradient [N, D]
/// Oracle  embedpool::feed_forward_training_backward
template <DeviceElement T, Device D>
void feed_forward_half_backward(D& device, const DeviceBlock<T>& w, const DeviceBlockPairs<T>& pairs, const DecoderConfig& config,
                                const DeviceDropout& dropout, Rows<const float> x, DeviceFeedForwardRecord<T>& record,
                                Rows<float> gradient, bool remake_products, DeviceFeedForwardScratch<T>& scratch) {
  const auto epsilon = static_cast<float>(config.norm_epsilon);
  const Index width = w.down.cols;
  const Rows<T> gate_up = record.gate_up.rows(device, x.rows, 2 * width);
  const Rows<T> dgate = gate_up.middle_cols(0, width), dup = gate_up.middle_cols(width, width);
  const Rows<const T> inner = detail::gated_inner(device, config.activation, Rows<const T>(gate_up), scratch);
  if (remake_products) lora_products(device, inner, pairs.down, dropout, record.of_down, scratch.lora);

  const Rows<T> dy = scratch.dy.rows(device, x.rows, x.cols), dinner = scratch.dinner.rows(device, x.rows, width);
  device.launch(Convert<float, T>{gradient, dy});
  device.multiply(linear_input_gradient(Rows<const T>(dy), w.down, dinner));
  lora_backward(device, inner, Rows<const T>(dy), pairs.down, dropout, record.of_down, dinner, scratch.lora);
  detail::with_device_activation(config.activation, [&]<class Activation>(Activation) {
    device.launch(GatedBackward<T, Activation>{dgate, dup, dinner});
  });

  const Rows<T> normed = scratch.normed.rows(device, x.rows, x.cols);
  device.launch(RmsNorm<float, T>{x, w.feed_forward_norm, epsilon, normed});
  const Rows<float> dnormed = scratch.dnormed.rows(device, x.rows, x.cols);
  device.multiply(linear_input_gradient(Rows<const T>(gate_up), w.gate_up, dnormed));
  lora_backward(device, Rows<const T>(normed), Rows<const T>(dgate), pairs.gate, dropout, record.of_gate, dnormed, scratch.lora);
  lora_backward(device, Rows<const T>(normed), Rows<const T>(dup), pairs.up, dropout, record.of_up, dnormed, scratch.lora);
  device.launch(RmsNormBackward<float, float>{x, w.feed_forward_norm, epsilon, dnormed, gradient});
}

}  // namespace embedpool::cuda
