#pragma once
#include <concepts>

#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/heads/torch_attention.cuh"
#include "embedpool/cuda/kernels/heads/range_means.cuh"
#include "embedpool/cuda/kernels/heads/relu_rows.cuh"
#include "embedpool/cuda/kernels/heads/segment_softmax.cuh"
#include "embedpool/pooling/heads/layer_table_attention.hpp"

namespace embedpool::cuda {

/// Learned queries attend to the keys; then the mean over queries, an output projection and an MLP. Behind the softmax
/// all is linear, so the mean over queries moves to the weights.
///
/// Oracle  embedpool::CrossAttention, and what derives from it
template <std::derived_from<CrossAttention> Head, Device D>
class DeviceHead<Head, D> : public DeviceHeadBase<Head> {
  using Base = DeviceHeadBase<Head>;

 public:
  DeviceHead(D& device, const Head& head, const typename Base::Params& params)
      : Base(device, head, params), queries_(head.heads, HeadOrder::inner) {
    head.check(params, params.query.cols(), head.layer_table ? params.table.rows() : 1);
  }

  void forward(D& device, const DeviceKeys& keys, Rows<float> out) {
    const auto p = torch_attention_values(this->params_);
    const Rows<const float> query = this->value("query");
    const Index width = query.cols, count = keys.rows.rows, r = query.rows, heads = this->head_.heads;
    this->require_fit("CrossAttention head", keys, width, out);
    y_ = keys.rows;
    if (this->head_.layer_table) {
      const Rows<const float> table = this->value("layer_weights");
      require_in("CrossAttention head", "kinds of keys", keys.kinds, 1, table.rows);
      const Rows<float> tabled = tabled_.rows(device, count, width);
      device.launch(head_kernels::AddTable{keys.rows, table, keys.kind, tabled});
      y_ = tabled;
    }
    f_ = queries_.forward(device, p.queries(), query);
    a_ = a_buffer_.rows(device, r * heads, count);
    device.multiply(linear(f_, y_, a_));
    device.launch(head_kernels::SegmentSoftmax{ranges_of(keys), a_});
    weights_ = a_;
    if (r > 1) {
      weights_ = weights_buffer_.rows(device, heads, count);
      sums_.mean_columns(device, {a_.data, r, heads * count}, {weights_.data, 1, heads * count});
    }
    attended_ = attended_buffer_.rows(device, keys.texts, width);
    e_ = e_buffer_.rows(device, keys.texts, width);
    values_.forward(device, p, ranges_of(keys), weights_, y_, attended_);
    device.launch(head_kernels::AddRows{this->value("mlp.0.bias"), e_, false});
    device.multiply(linear(Rows<const float>(attended_), this->value("mlp.0.weight"), e_, 1));
    if (relu())
      device.launch(head_kernels::ReluRows{e_});
    else
      device.launch(head_kernels::RangeMeans{ranges_of(keys), keys.rows, e_, true});
    device.launch(head_kernels::AddRows{e_, out, false});
  }

  void backward(D& device, const DeviceKeys& keys, Rows<const float> de, Rows<float> dkeys) {
    const auto p = torch_attention_values(this->params_);
    const auto dp = torch_attention_gradients(this->params_);
    const Rows<const float> query = this->value("query"), mlp = this->value("mlp.0.weight");
    const Index width = query.cols, count = keys.rows.rows, r = query.rows, heads = this->head_.heads;
    this->require_fit("CrossAttention head", keys, width, de);
    this->require_gradient("CrossAttention head", keys, dkeys);
    Rows<const float> dmlp = de;
    if (relu()) {
      const Rows<float> passed = dmlp_.rows(device, de.rows, width);
      device.launch(head_kernels::ReluRowsBackward{e_, de, passed});
      dmlp = passed;
    } else {
      device.launch(head_kernels::RangeSpread{ranges_of(keys), de, dkeys, true});
    }
    const Rows<float> da = da_.rows(device, de.rows, width), dweights = dweights_.rows(device, heads, count);
    const Rows<float> dz = dz_.rows(device, r * heads, count), dy = dy_.rows(device, count, width);
    const Rows<float> df = df_.rows(device, r * heads, width);
    device.multiply(linear_weight_gradient(dmlp, Rows<const float>(attended_), this->gradient("mlp.0.weight"), 1));
    sums_.add_columns(device, dmlp, this->gradient("mlp.0.bias"));
    device.multiply(linear_input_gradient(dmlp, mlp, da));
    values_.backward(device, sums_, p, dp, ranges_of(keys), weights_, y_, da, dweights, dy);
    // Row i H + h of a has 1/r of the gradient of row h of its mean over queries.
    device.launch(
        head_kernels::SegmentSoftmaxBackward{ranges_of(keys), a_, dweights, dz, 1.0f / static_cast<float>(r)});
    device.multiply(Product<float>{dz, y_, df});
    device.multiply(Product<float>{dz, f_, dy, true, false, 1, 1});
    queries_.backward(device, sums_, p.queries(), dp.queries(), query, df, this->gradient("query"), true);
    if (this->head_.layer_table) sums_.add_by_kind(device, keys.kind, dy, this->gradient("layer_weights"));
    device.launch(head_kernels::AddRows{dy, dkeys});
  }

 private:
  bool relu() const noexcept { return this->head_.start == CrossAttention::Start::paper; }

  HeadSums sums_;
  FoldedQueries queries_;
  TorchValues values_;
  DeviceBuffer<float> tabled_, a_buffer_, weights_buffer_, attended_buffer_, e_buffer_, dmlp_, da_, dweights_, dz_, dy_,
      df_;
  Rows<const float> y_, f_;     // keys with the table [N, D]; folded queries [r H, D]
  Rows<float> a_, weights_;     // [r H, N], row i H + h; their mean over queries [H, N]
  Rows<float> attended_, e_;    // [B, D]
};

}  // namespace embedpool::cuda
