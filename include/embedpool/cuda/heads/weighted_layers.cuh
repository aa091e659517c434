#pragma once
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/head_sums.cuh"
#include "embedpool/cuda/kernels/heads/key_products.cuh"
#include "embedpool/cuda/kernels/heads/kind_weights.cuh"
#include "embedpool/pooling/heads/weighted_layers.hpp"

namespace embedpool::cuda {

/// e = sum_k w_k h_k / sum_k w_k
///
/// Oracle  embedpool::WeightedLayers
template <Device D>
class DeviceHead<WeightedLayers, D> : public DeviceHeadBase<WeightedLayers> {
 public:
  DeviceHead(D& device, const WeightedLayers& head, const Params& params)
      : DeviceHeadBase<WeightedLayers>(device, head, params) {
    head.check(params, 0, params.layer_weights.cols());
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    require_fit("WeightedLayers head", keys, keys.rows.cols, out);
    require_equal("WeightedLayers head", "kinds of keys", keys.kinds, value("layer_weights").cols);
    shares_ = shares_buffer_.rows(device, 1, keys.rows.rows);
    sum_of_text_.reserve(device, keys.texts);
    device.launch(
        head_kernels::GatherByKind{value("layer_weights").data, keys.kind, shares_.data, keys.rows.rows});
    device.launch(head_kernels::DivideBySum{ranges_of(keys), shares_.data, sum_of_text_.data()});
    device.launch(head_kernels::KeyMix{ranges_of(keys), shares_, keys.rows, out});
  }

  /// dw_k += de . (h_k - e) / sum w,  dh_k += w_k / sum w de
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    require_fit("WeightedLayers head", keys, keys.rows.cols, de);
    require_gradient("WeightedLayers head", keys, dkeys);
    const Rows<float> along = along_.rows(device, 1, keys.rows.rows);
    device.launch(head_kernels::KeyScores{ranges_of(keys), de, keys.rows, along});
    device.launch(
        head_kernels::DivideBySumBackward{ranges_of(keys), shares_.data, sum_of_text_.data(), along.data});
    sums_.add_values_by_kind(device, keys.kind, along, gradient("layer_weights"));
    device.launch(head_kernels::KeySpread{ranges_of(keys), shares_, de, dkeys, 1, true});
  }

 private:
  HeadSums sums_;
  DeviceBuffer<float> shares_buffer_, sum_of_text_, along_;
  Rows<float> shares_;  // w_k / sum w
};

}  // namespace embedpool::cuda
