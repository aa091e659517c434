#pragma once
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/layer_norm_rows.cuh"
#include "embedpool/cuda/kernels/heads/range_means.cuh"
#include "embedpool/pooling/heads/layer_mean.hpp"

namespace embedpool::cuda {

/// e = 1/n sum_k u_k
///
/// Oracle  embedpool::LayerMean
template <Device D>
class DeviceHead<LayerMean, D> : public DeviceHeadBase<LayerMean> {
 public:
  DeviceHead(D& device, const LayerMean& head, const NoParams& params)
      : DeviceHeadBase<LayerMean>(device, head, params) {}

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    require_fit("LayerMean head", keys, keys.rows.cols, out);
    const Rows<const float> u = head_.normalise_keys ? norm_.standardise(device, keys.rows) : keys.rows;
    device.launch(head_kernels::RangeMeans{ranges_of(keys), u, out});
  }
  /// du_k = de / n
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    require_fit("LayerMean head", keys, keys.rows.cols, de);
    require_gradient("LayerMean head", keys, dkeys);
    if (!head_.normalise_keys) {
      device.launch(head_kernels::RangeSpread{ranges_of(keys), de, dkeys, true});
      return;
    }
    const Rows<float> du = du_.rows(device, dkeys.rows, dkeys.cols);
    device.launch(head_kernels::RangeSpread{ranges_of(keys), de, du});
    norm_.standardise_backward(device, du, dkeys, true);
  }

 private:
  LayerNormRows norm_;
  DeviceBuffer<float> du_;
};

}  // namespace embedpool::cuda
