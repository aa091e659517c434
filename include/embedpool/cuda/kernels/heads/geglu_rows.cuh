#pragma once
#include "embedpool/cuda/kernels/device_activation.cuh"
#include "embedpool/cuda/kernels/heads/range_means.cuh"

namespace embedpool::cuda::head_kernels {

/// u_b = mean over the rows of text b of value .* GELU(gate), [value gate] = pre + bias.
///
/// Plan    a thread for a text and a column, which goes through the text's rows
/// Shapes  pre [R, 2 F], bias [2 F], u [B, F]
/// Oracle  embedpool::head_math::geglu_mean
struct GegluMeans {
  static constexpr int threads = ColumnOfText::threads;
  RowRanges ranges;
  Rows<const float> pre;
  const float* bias;
  Rows<float> u;

  LaunchShape launch_shape() const noexcept { return ColumnOfText::shape(ranges, u.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const ColumnOfText own(thread, u.cols);
    if (own.column >= u.cols) return;
    const Index begin = ranges.begin(own.text), size = ranges.size(own.text);
    const float value_bias = bias[own.column], gate_bias = bias[u.cols + own.column];
    float sum = 0;
    for (Index i = begin; i < begin + size; ++i)
      sum += (pre(i, own.column) + value_bias) * GeluErf::value(pre(i, u.cols + own.column) + gate_bias);
    u(own.text, own.column) = sum / static_cast<float>(size);
  }
};

/// The way back: pre becomes its gradient. Shapes: du [B, F]
///
/// Oracle  embedpool::head_math::geglu_mean_backward
struct GegluMeansBackward {
  static constexpr int threads = ColumnOfText::threads;
  RowRanges ranges;
  Rows<float> pre;
  const float* bias;
  Rows<const float> du;

  LaunchShape launch_shape() const noexcept { return ColumnOfText::shape(ranges, du.cols); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const ColumnOfText own(thread, du.cols);
    if (own.column >= du.cols) return;
    const Index begin = ranges.begin(own.text), size = ranges.size(own.text);
    const float value_bias = bias[own.column], gate_bias = bias[du.cols + own.column];
    const float d = du(own.text, own.column) / static_cast<float>(size);
    for (Index i = begin; i < begin + size; ++i) {
      float& value = pre(i, own.column);
      float& gate = pre(i, du.cols + own.column);
      const float v = value + value_bias, g = gate + gate_bias;
      value = d * GeluErf::value(g);
      gate = d * v * GeluErf::derivative(g);
    }
  }
};

}  // namespace embedpool::cuda::head_kernels
