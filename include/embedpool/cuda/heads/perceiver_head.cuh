#pragma once
#include <concepts>

#include "embedpool/cuda/heads/cross_attend.cuh"
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/geglu_mean.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/pooling/heads/perceiver_head.hpp"

namespace embedpool::cuda {

/// r latents ask, the keys answer; a gated feed-forward and the mean over latents follow.
///
/// Memory  of the keys of a whole batch: r H weights a key, twice in training
/// Oracle  embedpool::PerceiverHead, and what derives from it
template <std::derived_from<PerceiverHead> Head, Device D>
class DeviceHead<Head, D> : public DeviceHeadBase<Head> {
  using Base = DeviceHeadBase<Head>;

 public:
  DeviceHead(D& device, const Head& head, const typename Base::Params& params)
      : Base(device, head, params), queries_(head.heads, HeadOrder::inner), values_(head.heads) {
    head.check(params, params.latents.cols(), head.layer_table ? params.table.rows() : 1);
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    const auto p = cross_attend_values(this->params_);
    const Rows<const float> latents = this->value("latents");
    const Index width = latents.cols, r = latents.rows;
    this->require_fit("PerceiverHead", keys, width, out);
    KindTable table;
    if (this->head_.layer_table) {
      table = {this->value("pos_emb.weight"), keys.kind};
      require_in("PerceiverHead", "kinds of keys", keys.kinds, 1, table.rows.rows);
    }
    normed_latents_ = latent_norm_.apply(device, latents, p.latent_gain, p.latent_bias);
    y_ = key_norm_.apply(device, keys.rows, p.hidden_gain, p.hidden_bias, table);
    f_ = queries_.forward(device, {p.to_q, p.to_k()}, normed_latents_);
    a_ = a_buffer_.rows(device, f_.rows, keys.rows.rows);
    device.multiply(linear(f_, y_, a_));
    device.launch(head_kernels::SegmentSoftmax{ranges_of(keys), a_});
    const Rows<float> x = x_.rows(device, keys.texts * r, width);
    if (pooled()) {
      const Rows<float> mean = mean_.rows(device, keys.texts, width);
      device.launch(head_kernels::RangeMeans{ranges_of(keys), keys.rows, mean});
      device.launch(head_kernels::RangeSpread{equal_ranges(keys.texts, r), mean, x, false, false});
    } else {
      device.launch(head_kernels::RepeatRows{latents, x});
    }
    values_.forward(device, p, ranges_of(keys), a_, y_, x);
    feed_forward_.forward(device, geglu_values(this->params_), equal_ranges(keys.texts, r), x, out);
  }

  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    const auto p = cross_attend_values(this->params_);
    const auto dp = cross_attend_gradients(this->params_);
    const Rows<const float> latents = this->value("latents");
    const Rows<float> dlatents = this->gradient("latents");
    const Index width = latents.cols, r = latents.rows;
    this->require_fit("PerceiverHead", keys, width, de);
    this->require_gradient("PerceiverHead", keys, dkeys);
    const Rows<float> dx = dx_.rows(device, keys.texts * r, width), dz = dz_.rows(device, a_.rows, a_.cols);
    const Rows<float> dy = dy_.rows(device, dkeys.rows, width), dh = dh_.rows(device, dkeys.rows, width);
    const Rows<float> df = df_.rows(device, f_.rows, width), dnormed = dnormed_.rows(device, r, width);
    const Rows<float> from_norm = from_norm_.rows(device, r, width);
    feed_forward_.backward(device, sums_, geglu_values(this->params_), geglu_gradients(this->params_),
                           equal_ranges(keys.texts, r), de, dx);
    values_.backward(device, p, dp, ranges_of(keys), a_, y_, dx, dz, dy);
    device.launch(head_kernels::SegmentSoftmaxBackward{ranges_of(keys), a_, dz, dz});
    device.multiply(Product<float>{dz, y_, df});
    device.multiply(Product<float>{dz, f_, dy, true, false, 1, 1});
    queries_.backward(device, sums_, {p.to_q, p.to_k()}, {dp.to_q, dp.to_k()}, normed_latents_, df, dnormed, false);
    latent_norm_.backward(device, sums_, dnormed, p.latent_gain, dp.latent_gain, dp.latent_bias, from_norm);
    device.launch(head_kernels::AddRows{from_norm, dlatents});
    key_norm_.backward(device, sums_, dy, p.hidden_gain, dp.hidden_gain, dp.hidden_bias, dh);
    if (this->head_.layer_table) sums_.add_by_kind(device, keys.kind, dh, this->gradient("pos_emb.weight"));
    device.launch(head_kernels::AddRows{dh, dkeys});
    if (!pooled())
      return sums_.add_columns(device, {dx.data, keys.texts, r * width}, {dlatents.data, 1, r * width});
    const Rows<float> dmean = mean_.rows(device, keys.texts, width);
    device.launch(head_kernels::RangeMeans{equal_ranges(keys.texts, r), dx, dmean, false, false});
    device.launch(head_kernels::RangeSpread{ranges_of(keys), dmean, dkeys, true});
  }

 private:
  bool pooled() const noexcept { return this->head_.residual == Residual::pooled; }

  HeadSums sums_;
  LayerNormRows latent_norm_, key_norm_;
  FoldedQueries queries_;
  CrossAttendValues values_;
  GegluMean feed_forward_;
  DeviceBuffer<float> a_buffer_, x_, mean_, dx_, dz_, dy_, dh_, df_, dnormed_, from_norm_;
  Rows<const float> normed_latents_, y_, f_;  // [r, D], [N, D], [r H, D]
  Rows<float> a_;                             // [r H, N], row i H + h
};

}  // namespace embedpool::cuda
