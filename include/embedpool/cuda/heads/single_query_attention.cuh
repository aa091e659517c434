#pragma once
#include <cmath>

#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/kernels/heads/key_products.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/pooling/heads/single_query_attention.hpp"

namespace embedpool::cuda {

/// e = softmax(H q / sqrt(D)) H
///
/// Oracle  embedpool::SingleQueryAttention
template <Device D>
class DeviceHead<SingleQueryAttention, D> : public DeviceHeadBase<SingleQueryAttention> {
 public:
  DeviceHead(D& device, const SingleQueryAttention& head, const Params& params)
      : DeviceHeadBase<SingleQueryAttention>(device, head, params) {
    head.check(params, params.query.cols(), 1);
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    const Rows<const float> query = value("query");
    require_fit("SingleQueryAttention head", keys, query.cols, out);
    weights_ = weights_buffer_.rows(device, 1, keys.rows.rows);
    device.multiply(Product<float>{query, keys.rows, weights_, false, true, scale(), 0});
    device.launch(head_kernels::SegmentSoftmax{ranges_of(keys), weights_});
    device.launch(head_kernels::KeyMix{ranges_of(keys), weights_, keys.rows, out});
  }

  /// dz = softmax'(H de) / sqrt(D),  dq += H^T dz,  dH += a de^T + dz q^T
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    const Rows<const float> query = value("query");
    require_fit("SingleQueryAttention head", keys, query.cols, de);
    require_gradient("SingleQueryAttention head", keys, dkeys);
    const Rows<float> dz = dz_.rows(device, 1, keys.rows.rows);
    device.launch(head_kernels::KeyScores{ranges_of(keys), de, keys.rows, dz});
    device.launch(head_kernels::SegmentSoftmaxBackward{ranges_of(keys), weights_, dz, dz, scale()});
    device.multiply(Product<float>{dz, keys.rows, gradient("query"), false, false, 1, 1});
    device.launch(head_kernels::KeySpread{ranges_of(keys), weights_, de, dkeys, 1, true});
    device.multiply(Product<float>{dz, query, dkeys, true, false, 1, 1});
  }

 private:
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(value("query").cols)); }

  DeviceBuffer<float> weights_buffer_, dz_;
  Rows<float> weights_;  // [1, N]
};

}  // namespace embedpool::cuda
