#pragma once
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/head_sums.cuh"
#include "embedpool/cuda/kernels/heads/key_products.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/cuda/kernels/heads/tanh_rows.cuh"
#include "embedpool/pooling/heads/additive_attention.hpp"

namespace embedpool::cuda {

/// e = sum_k softmax_k(v . tanh(W h_k + b)) h_k
///
/// Oracle  embedpool::AdditiveAttention
template <Device D>
class DeviceHead<AdditiveAttention, D> : public DeviceHeadBase<AdditiveAttention> {
 public:
  DeviceHead(D& device, const AdditiveAttention& head, const Params& params)
      : DeviceHeadBase<AdditiveAttention>(device, head, params) {
    head.check(params, params.w.cols(), 1);
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    const Rows<const float> w = value("w.weight");
    require_fit("AdditiveAttention head", keys, w.cols, out);
    t_ = t_buffer_.rows(device, keys.rows.rows, w.rows);
    weights_ = weights_buffer_.rows(device, 1, keys.rows.rows);
    device.multiply(linear(keys.rows, w, t_));
    device.launch(head_kernels::TanhRows{value("w.bias").data, t_});
    device.multiply(linear(value("v"), Rows<const float>(t_), weights_));
    device.launch(head_kernels::SegmentSoftmax{ranges_of(keys), weights_});
    device.launch(head_kernels::KeyMix{ranges_of(keys), weights_, keys.rows, out});
  }

  /// dz = softmax'(H de),  dv += dz T,  du = dz v .* (1 - T^2),  dW += du^T H,  db += columns of du,
  /// dH += a de^T + du W
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    const Rows<const float> w = value("w.weight");
    require_fit("AdditiveAttention head", keys, w.cols, de);
    require_gradient("AdditiveAttention head", keys, dkeys);
    const Rows<float> dz = dz_.rows(device, 1, keys.rows.rows), du = du_.rows(device, keys.rows.rows, w.rows);
    device.launch(head_kernels::KeyScores{ranges_of(keys), de, keys.rows, dz});
    device.launch(head_kernels::SegmentSoftmaxBackward{ranges_of(keys), weights_, dz, dz});
    device.multiply(Product<float>{dz, t_, gradient("v"), false, false, 1, 1});
    device.launch(head_kernels::TanhRowsBackward{dz.data, value("v").data, t_, du});
    device.multiply(linear_weight_gradient(Rows<const float>(du), keys.rows, gradient("w.weight"), 1));
    sums_.add_columns(device, du, gradient("w.bias"));
    device.launch(head_kernels::KeySpread{ranges_of(keys), weights_, de, dkeys, 1, true});
    device.multiply(linear_input_gradient(Rows<const float>(du), w, dkeys, 1));
  }

 private:
  HeadSums sums_;
  DeviceBuffer<float> t_buffer_, weights_buffer_, dz_, du_;
  Rows<float> t_, weights_;  // tanh(W h + b) [N, A]; [1, N]
};

}  // namespace embedpool::cuda
