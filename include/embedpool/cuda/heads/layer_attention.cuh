#pragma once
#include <cmath>

#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/torch_attention.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/pooling/heads/layer_attention.hpp"

namespace embedpool::cuda {

/// The last key of a text asks all of its keys: e = softmax(H h_n / sqrt(D)) H, or torch's attention with heads.
///
/// Oracle  embedpool::LayerAttention
template <Device D>
class DeviceHead<LayerAttention, D> : public DeviceHeadBase<LayerAttention> {
 public:
  DeviceHead(D& device, const LayerAttention& head, const Params& params)
      : DeviceHeadBase<LayerAttention>(device, head, params), queries_(head.heads, HeadOrder::inner) {
    head.check(params, params.attend.out_weight.rows(), 1);
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    require_fit("LayerAttention head", keys, width_of(keys), out);
    const Index width = keys.rows.cols;
    last_ = last_buffer_.rows(device, keys.texts, width);
    weights_ = weights_buffer_.rows(device, rows_of_weights(), keys.rows.rows);
    device.launch(head_kernels::LastKeys{ranges_of(keys), keys.rows, last_});
    f_ = last_;
    if (head_.heads > 0) f_ = queries_.forward(device, torch_attention_values(params_).queries(), last_);
    device.launch(head_kernels::KeyScores{ranges_of(keys), f_, keys.rows, weights_, 1, scale(width)});
    device.launch(head_kernels::SegmentSoftmax{ranges_of(keys), weights_});
    if (head_.heads > 0)
      values_.forward(device, torch_attention_values(params_), ranges_of(keys), weights_, keys.rows, out);
    else
      device.launch(head_kernels::KeyMix{ranges_of(keys), weights_, keys.rows, out});
  }

  /// dz = softmax'(da) scale:  dH += (gradient of the values) + dz^T f,  df = dz H,  dh_n += the query's gradient
  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    require_fit("LayerAttention head", keys, width_of(keys), de);
    require_gradient("LayerAttention head", keys, dkeys);
    const Index width = keys.rows.cols;
    const Rows<float> dz = dz_.rows(device, rows_of_weights(), keys.rows.rows);
    const Rows<float> df = df_.rows(device, f_.rows, width);
    Rows<float> dlast = df;
    if (head_.heads > 0) {
      const Rows<float> dy = dy_.rows(device, dkeys.rows, width);
      values_.backward(device, sums_, torch_attention_values(params_), torch_attention_gradients(params_),
                       ranges_of(keys), weights_, keys.rows, de, dz, dy);
      device.launch(head_kernels::AddRows{dy, dkeys});
    } else {
      device.launch(head_kernels::KeyScores{ranges_of(keys), de, keys.rows, dz});
      device.launch(head_kernels::KeySpread{ranges_of(keys), weights_, de, dkeys, 1, true});
    }
    device.launch(head_kernels::SegmentSoftmaxBackward{ranges_of(keys), weights_, dz, dz, scale(width)});
    device.launch(head_kernels::KeySpread{ranges_of(keys), dz, f_, dkeys, 1, true});
    device.launch(head_kernels::KeyMix{ranges_of(keys), dz, keys.rows, df});
    if (head_.heads > 0) {
      dlast = dlast_.rows(device, keys.texts, width);
      queries_.backward(device, sums_, torch_attention_values(params_).queries(),
                        torch_attention_gradients(params_).queries(), last_, df, dlast, false);
    }
    device.launch(head_kernels::LastKeysBackward{ranges_of(keys), dlast, dkeys});
  }

 private:
  Index width_of(const DeviceKeys& keys) const {
    return head_.heads > 0 ? value("attn.out_proj.weight").rows : keys.rows.cols;
  }
  Index rows_of_weights() const noexcept { return head_.heads > 0 ? head_.heads : 1; }
  /// Folded queries have the scale in them.
  float scale(Index width) const { return head_.heads > 0 ? 1.0f : 1.0f / std::sqrt(static_cast<float>(width)); }

  HeadSums sums_;
  FoldedQueries queries_;
  TorchValues values_;
  DeviceBuffer<float> last_buffer_, weights_buffer_, dz_, df_, dy_, dlast_;
  Rows<float> last_, weights_;  // [B, D]; [H, N]
  Rows<const float> f_;         // what meets the keys: [B H, D] folded, or the last keys
};

}  // namespace embedpool::cuda
