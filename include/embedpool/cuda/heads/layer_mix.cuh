#pragma once
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/layer_norm_rows.cuh"
#include "embedpool/cuda/kernels/heads/key_products.cuh"
#include "embedpool/cuda/kernels/heads/kind_weights.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/pooling/heads/layer_mix.hpp"

namespace embedpool::cuda {

/// e = gamma sum_k softmax(scalars)_k u_k
///
/// Oracle  embedpool::LayerMix
template <Device D>
class DeviceHead<LayerMix, D> : public DeviceHeadBase<LayerMix> {
 public:
  DeviceHead(D& device, const LayerMix& head, const Params& params) : DeviceHeadBase<LayerMix>(device, head, params) {
    head.check(params, 0, params.scalars.cols());
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    require_fit("LayerMix head", keys, keys.rows.cols, out);
    require_equal("LayerMix head", "kinds of keys", keys.kinds, value("scalars").cols);
    const Index count = keys.rows.rows;
    u_ = head_.normalise_keys ? norm_.standardise(device, keys.rows) : keys.rows;
    weights_ = weights_buffer_.rows(device, 1, count);
    scaled_ = scaled_buffer_.rows(device, 1, count);
    device.launch(head_kernels::GatherByKind{value("scalars").data, keys.kind, weights_.data, count});
    device.launch(head_kernels::SegmentSoftmax{ranges_of(keys), weights_});
    device.launch(head_kernels::TimesFactor{weights_.data, value("gamma").data, scaled_.data, count});
    device.launch(head_kernels::KeyMix{ranges_of(keys), scaled_, u_, out});
  }

  /// dgamma += de . mix, dscalars += gamma softmax'(de . u_k), du_k = gamma weight_k de
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    require_fit("LayerMix head", keys, keys.rows.cols, de);
    require_gradient("LayerMix head", keys, dkeys);
    const Rows<float> along = along_.rows(device, 1, keys.rows.rows);
    device.launch(head_kernels::KeyScores{ranges_of(keys), de, u_, along});
    device.multiply(Product<float>{along, weights_, gradient("gamma"), false, true, 1, 1});
    device.launch(
        head_kernels::SegmentSoftmaxBackward{ranges_of(keys), weights_, along, along, 1, value("gamma").data});
    sums_.add_values_by_kind(device, keys.kind, along, gradient("scalars"));
    if (!head_.normalise_keys) {
      device.launch(head_kernels::KeySpread{ranges_of(keys), scaled_, de, dkeys, 1, true});
      return;
    }
    const Rows<float> du = du_.rows(device, dkeys.rows, dkeys.cols);
    device.launch(head_kernels::KeySpread{ranges_of(keys), scaled_, de, du});
    norm_.standardise_backward(device, du, dkeys, true);
  }

 private:
  LayerNormRows norm_;
  HeadSums sums_;
  DeviceBuffer<float> weights_buffer_, scaled_buffer_, along_, du_;
  Rows<const float> u_;
  Rows<float> weights_, scaled_;
};

}  // namespace embedpool::cuda
