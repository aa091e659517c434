#pragma once
#include "embedpool/cuda/heads/cross_attend.cuh"
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/geglu_mean.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/pooling/heads/latent_attention.hpp"

namespace embedpool::cuda {

/// The keys ask, r latents answer; a gated feed-forward and the mean over a text's keys follow. What latents have, their
/// keys f with W_Q and their values g with W_O folded into them, depends on no text:
///
///   x_n = h_n + sum_h sum_i softmax_i(y_n . f_hi) g_hi      f_h = k_h W_Q,h / sqrt(d),  g_h = v_h W_O,h^T
///
/// Oracle  embedpool::LatentAttention
template <Device D>
class DeviceHead<LatentAttention, D> : public DeviceHeadBase<LatentAttention> {
 public:
  DeviceHead(D& device, const LatentAttention& head, const Params& params)
      : DeviceHeadBase<LatentAttention>(device, head, params), keys_(head.heads, HeadOrder::outer) {
    head.check(params, params.latents.cols(), 1);
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    const auto p = cross_attend_values(params_);
    const Rows<const float> latents = value("latents");
    const Index width = latents.cols, r = latents.rows, heads = head_.heads, count = keys.rows.rows;
    require_fit("LatentAttention head", keys, width, out);
    normed_latents_ = latent_norm_.apply(device, latents, p.latent_gain, p.latent_bias);
    f_ = keys_.forward(device, {p.to_k(), p.to_q}, normed_latents_);
    v_ = v_buffer_.rows(device, r, p.to_q.rows);
    g_ = g_buffer_.rows(device, heads * r, width);
    device.multiply(linear(normed_latents_, p.to_v(), v_));
    for (Index h = 0; h < heads; ++h)
      device.multiply(linear(Rows<const float>(columns_of_head(v_, h, heads)), columns_of_head(p.to_out, h, heads),
                             rows_of_head(g_, h, heads, HeadOrder::outer)));
    y_ = key_norm_.apply(device, keys.rows, p.hidden_gain, p.hidden_bias);
    a_ = a_buffer_.rows(device, count, heads * r);
    const Rows<float> x = x_.rows(device, count, width);
    device.multiply(linear(y_, f_, a_));
    device.launch(head_kernels::SegmentSoftmax{equal_ranges(1, r), by_head(a_)});
    copy(device, keys.rows, x);
    device.multiply(Product<float>{a_, g_, x, false, false, 1, 1});
    feed_forward_.forward(device, geglu_values(params_), ranges_of(keys), x, out);
  }

  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    const auto p = cross_attend_values(params_);
    const auto dp = cross_attend_gradients(params_);
    const Index width = keys.rows.cols, r = value("latents").rows, heads = head_.heads, count = keys.rows.rows;
    require_fit("LatentAttention head", keys, value("latents").cols, de);
    require_gradient("LatentAttention head", keys, dkeys);
    const Rows<float> dx = dx_.rows(device, count, width), dz = dz_.rows(device, count, heads * r);
    const Rows<float> dy = dy_.rows(device, count, width), dh = x_.rows(device, count, width);  // x is used up
    const Rows<float> df = df_.rows(device, heads * r, width), dg = dg_.rows(device, heads * r, width);
    const Rows<float> dv = dv_.rows(device, r, p.to_q.rows), dnormed = dnormed_.rows(device, r, width);
    const Rows<float> dlatents = dlatents_.rows(device, r, width);
    feed_forward_.backward(device, sums_, geglu_values(params_), geglu_gradients(params_), ranges_of(keys), de, dx);
    device.multiply(Product<float>{a_, dx, dg, true, false});
    device.multiply(linear(Rows<const float>(dx), Rows<const float>(g_), dz));
    device.launch(head_kernels::SegmentSoftmaxBackward{equal_ranges(1, r), by_head(a_), by_head(dz), by_head(dz)});
    device.multiply(Product<float>{dz, y_, df, true, false});
    device.multiply(Product<float>{dz, f_, dy});
    for (Index h = 0; h < heads; ++h) {
      const Rows<const float> dg_h = rows_of_head(dg, h, heads, HeadOrder::outer), v_h = columns_of_head(v_, h, heads);
      device.multiply(linear_weight_gradient(dg_h, v_h, columns_of_head(dp.to_out, h, heads), 1));
      device.multiply(linear_input_gradient(dg_h, columns_of_head(p.to_out, h, heads), columns_of_head(dv, h, heads)));
    }
    device.multiply(linear_weight_gradient(Rows<const float>(dv), normed_latents_, dp.to_v(), 1));
    device.multiply(linear_input_gradient(Rows<const float>(dv), p.to_v(), dnormed));
    keys_.backward(device, sums_, {p.to_k(), p.to_q}, {dp.to_k(), dp.to_q}, normed_latents_, df, dnormed, true);
    latent_norm_.backward(device, sums_, dnormed, p.latent_gain, dp.latent_gain, dp.latent_bias, dlatents);
    device.launch(head_kernels::AddRows{dlatents, gradient("latents")});
    key_norm_.backward(device, sums_, dy, p.hidden_gain, dp.hidden_gain, dp.hidden_bias, dh);
    device.launch(head_kernels::AddRows{dx, dkeys});
    device.launch(head_kernels::AddRows{dh, dkeys});
  }

 private:
  static void copy(D& device, Rows<const float> from, Rows<float> to) {
    device.launch(head_kernels::AddRows{from, to, false});
  }
  /// [N, H r] as [N H, r]: the weights that a softmax goes over.
  Rows<float> by_head(Rows<float> rows) const noexcept {
    return {rows.data, rows.rows * head_.heads, rows.cols / head_.heads};
  }

  HeadSums sums_;
  LayerNormRows latent_norm_, key_norm_;
  FoldedQueries keys_;  // the latents' keys: a score is symmetric in who asks
  GegluMean feed_forward_;
  DeviceBuffer<float> v_buffer_, g_buffer_, a_buffer_, x_, dx_, dz_, dy_, df_, dg_, dv_, dnormed_, dlatents_;
  Rows<const float> normed_latents_, y_, f_;  // [r, D], [N, D], [H r, D]
  Rows<float> v_, g_, a_;                     // [r, H d], [H r, D], [N, H r]
};

}  // namespace embedpool::cuda
