#pragma once
#include "embedpool/cuda/heads/device_params.hpp"
#include "embedpool/cuda/heads/layer_norm_rows.cuh"
#include "embedpool/cuda/kernels/heads/geglu_rows.cuh"

namespace embedpool::cuda {

/// The tensors of a gated feed-forward block, or their gradients: those of head_math::GegluParams.
template <class T>
struct GegluTensors {
  Rows<T> gain, bias, w0, b0, w2, b2;
};
template <class Head>
GegluTensors<const float> geglu_values(const DeviceParams<Head>& p) {
  const std::string block = "cross_attend_blocks.1.";
  return {p.value(block + "norm.weight"),  p.value(block + "norm.bias"),      p.value(block + "fn.net.0.weight"),
          p.value(block + "fn.net.0.bias"), p.value(block + "fn.net.2.weight"), p.value(block + "fn.net.2.bias")};
}
template <class Head>
GegluTensors<float> geglu_gradients(const DeviceParams<Head>& p) {
  const std::string block = "cross_attend_blocks.1.";
  return {p.gradient(block + "norm.weight"),   p.gradient(block + "norm.bias"),
          p.gradient(block + "fn.net.0.weight"), p.gradient(block + "fn.net.0.bias"),
          p.gradient(block + "fn.net.2.weight"), p.gradient(block + "fn.net.2.bias")};
}

/// e_b = mean over the rows i of text b of x_i + GEGLU(LN(x_i)), the mean taken before the last map.
///
/// Oracle  embedpool::head_math::geglu_mean
class GegluMean {
 public:
  /// Shapes  x [R, D] -> e [B, D]
  template <Device D>
  void forward(D& device, const GegluTensors<const float>& p, const RowRanges& ranges, Rows<const float> x,
               Rows<float> e) {
    y_ = norm_.apply(device, x, p.gain, p.bias);
    pre_ = pre_buffer_.rows(device, x.rows, p.w0.rows);
    u_ = u_buffer_.rows(device, ranges.texts, p.w2.cols);
    device.multiply(linear(y_, p.w0, pre_));
    device.launch(head_kernels::GegluMeans{ranges, pre_, p.b0.data, u_});
    device.launch(head_kernels::RangeMeans{ranges, x, e});
    device.launch(head_kernels::AddRows{p.b2, e});
    device.multiply(linear(Rows<const float>(u_), p.w2, e, 1));
  }
  /// Adds to the gradients; dx [R, D] is overwritten. Uses up what forward left.
  template <Device D>
  void backward(D& device, HeadSums& sums, const GegluTensors<const float>& p, const GegluTensors<float>& dp,
                const RowRanges& ranges, Rows<const float> de, Rows<float> dx) {
    const Rows<float> du = du_.rows(device, ranges.texts, p.w2.cols), dy = dy_.rows(device, dx.rows, dx.cols);
    device.multiply(linear_weight_gradient(de, Rows<const float>(u_), dp.w2, 1));
    sums.add_columns(device, de, dp.b2);
    device.multiply(linear_input_gradient(de, p.w2, du));
    device.launch(head_kernels::GegluMeansBackward{ranges, pre_, p.b0.data, du});
    device.multiply(linear_weight_gradient(Rows<const float>(pre_), y_, dp.w0, 1));
    sums.add_columns(device, pre_, dp.b0);
    device.multiply(linear_input_gradient(Rows<const float>(pre_), p.w0, dy));
    norm_.backward(device, sums, dy, p.gain, dp.gain, dp.bias, dx);
    device.launch(head_kernels::RangeSpread{ranges, de, dx, true});
  }

 private:
  LayerNormRows norm_;
  DeviceBuffer<float> pre_buffer_, u_buffer_, du_, dy_;
  Rows<const float> y_;
  Rows<float> pre_, u_;  // [R, 2 F] without bias; [B, F]
};

}  // namespace embedpool::cuda
