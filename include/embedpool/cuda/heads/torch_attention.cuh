#pragma once
#include "embedpool/cuda/heads/device_params.hpp"
#include "embedpool/cuda/heads/folded_queries.cuh"
#include "embedpool/cuda/kernels/heads/key_products.cuh"

/// Multi-head attention with torch's parameters, in the order of products in which no key meets a projection: queries
/// take the key projection to them, and one mixed row a head meets the value projection.
///
///   z_h,n = f_h . y_n      (FoldedQueries; the keys' bias adds the same to every score of a query and has no effect)
///   p_h = sum_n w_h,n y_n             o_h = W_V,h p_h + b_V,h      out = W_O o + b_O       (weights sum to 1)
namespace embedpool::cuda {

/// The tensors of one MultiheadAttention, or their gradients.
template <class T>
struct TorchAttentionRows {
  Rows<T> in_weight, in_bias, out_weight, out_bias;  // [3 D, D], [1, 3 D], [D, D], [1, D]
  Index width() const noexcept { return out_weight.rows; }
  FoldedQueries::Weights<T> queries() const noexcept {
    return {in_weight.middle_rows(0, width()), in_weight.middle_rows(width(), width()), in_bias.middle_cols(0, width())};
  }
  Rows<T> to_v() const noexcept { return in_weight.middle_rows(2 * width(), width()); }
  Rows<T> v_bias() const noexcept { return in_bias.middle_cols(2 * width(), width()); }
};
template <class Head>
TorchAttentionRows<const float> torch_attention_values(const DeviceParams<Head>& p) {
  return {p.value("attn.in_proj_weight"), p.value("attn.in_proj_bias"), p.value("attn.out_proj.weight"),
          p.value("attn.out_proj.bias")};
}
template <class Head>
TorchAttentionRows<float> torch_attention_gradients(const DeviceParams<Head>& p) {
  return {p.gradient("attn.in_proj_weight"), p.gradient("attn.in_proj_bias"), p.gradient("attn.out_proj.weight"),
          p.gradient("attn.out_proj.bias")};
}

/// From the weights of each head to attention's output, a row a text.
class TorchValues {
 public:
  /// Shapes  weights [H, N], y [N, D], out [B, D]
  template <Device D>
  void forward(D& device, const TorchAttentionRows<const float>& p, const RowRanges& keys, Rows<const float> weights,
               Rows<const float> y, Rows<float> out) {
    const Index heads = weights.rows, width = p.width();
    pooled_ = pooled_buffer_.rows(device, keys.texts * heads, width);
    o_ = o_buffer_.rows(device, keys.texts, width);
    device.launch(head_kernels::KeyMix{keys, weights, y, pooled_});
    for (Index h = 0; h < heads; ++h)
      device.multiply(linear(Rows<const float>(rows_of_head(pooled_, h, heads, HeadOrder::inner)),
                             rows_of_head(p.to_v(), h, heads, HeadOrder::outer), columns_of_head(o_, h, heads), 0,
                             columns_of_head(p.v_bias(), h, heads).data));
    device.multiply(linear(Rows<const float>(o_), p.out_weight, out, 0, p.out_bias.data));
  }
  /// Adds to the gradients; dweights [H, N] and dy [N, D] are overwritten.
  template <Device D>
  void backward(D& device, HeadSums& sums, const TorchAttentionRows<const float>& p, const TorchAttentionRows<float>& dp,
                const RowRanges& keys, Rows<const float> weights, Rows<const float> y, Rows<const float> dout,
                Rows<float> dweights, Rows<float> dy) {
    const Index heads = weights.rows, width = p.width();
    const Rows<float> d_o = do_.rows(device, keys.texts, width);
    const Rows<float> dpooled = dpooled_.rows(device, keys.texts * heads, width);
    sums.add_columns(device, dout, dp.out_bias);
    device.multiply(linear_weight_gradient(dout, Rows<const float>(o_), dp.out_weight, 1));
    device.multiply(linear_input_gradient(dout, p.out_weight, d_o));
    sums.add_columns(device, d_o, dp.v_bias());
    for (Index h = 0; h < heads; ++h) {
      const Rows<const float> d_o_h = columns_of_head(d_o, h, heads);
      device.multiply(linear_weight_gradient(d_o_h,
                                             Rows<const float>(rows_of_head(pooled_, h, heads, HeadOrder::inner)),
                                             rows_of_head(dp.to_v(), h, heads, HeadOrder::outer), 1));
      device.multiply(linear_input_gradient(d_o_h, rows_of_head(p.to_v(), h, heads, HeadOrder::outer),
                                            rows_of_head(dpooled, h, heads, HeadOrder::inner)));
    }
    device.launch(head_kernels::KeyScores{keys, dpooled, y, dweights});
    device.launch(head_kernels::KeySpread{keys, weights, dpooled, dy});
  }

 private:
  DeviceBuffer<float> pooled_buffer_, o_buffer_, do_, dpooled_;
  Rows<float> pooled_, o_;  // [B H, D], row b H + h; [B, D]
};

}  // namespace embedpool::cuda
