#pragma once
#include <cmath>

#include "embedpool/cuda/heads/device_params.hpp"
#include "embedpool/cuda/heads/head_sums.cuh"
#include "embedpool/cuda/kernels/heads/key_products.cuh"

/// Multi-head attention with torch's parameters, in the order of products in which no key meets a projection: queries
/// take the key projection to them, and one mixed row a head meets the value projection.
///
///   f_h = W_K,h^T q_h / sqrt(d)       z_h,n = f_h . y_n            (the keys' bias adds the same to every score: no effect)
///   p_h = sum_n w_h,n y_n             o_h = W_V,h p_h + b_V,h      out = W_O o + b_O       (weights sum to 1)
namespace embedpool::cuda {

/// The tensors of one MultiheadAttention, or their gradients.
template <class T>
struct TorchAttentionRows {
  Rows<T> in_weight, in_bias, out_weight, out_bias;  // [3 D, D], [1, 3 D], [D, D], [1, D]
  Index width() const noexcept { return out_weight.rows; }
  Rows<T> part(Index i) const noexcept { return in_weight.middle_rows(i * width(), width()); }
  Rows<T> bias(Index i) const noexcept { return in_bias.middle_cols(i * width(), width()); }
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

/// Columns [h width, (h + 1) width) of rows that hold one after the other what each head has.
template <class T>
Rows<T> columns_of_head(Rows<T> rows, Index head, Index heads) noexcept {
  return rows.middle_cols(head * (rows.cols / heads), rows.cols / heads);
}
template <class T>
Rows<T> rows_of_head(Rows<T> rows, Index head, Index heads) noexcept {
  return rows.middle_rows(head * (rows.rows / heads), rows.rows / heads);
}

/// Queries with the key projection folded into them.
class TorchQueries {
 public:
  /// Shapes  x [R, D] -> f [R, H D]
  template <Device D>
  Rows<const float> forward(D& device, const TorchAttentionRows<const float>& p, Index heads, Rows<const float> x) {
    q_ = q_buffer_.rows(device, x.rows, p.width());
    f_ = f_buffer_.rows(device, x.rows, heads * p.width());
    device.launch(head_kernels::AddRows{p.bias(0), q_, false});
    device.multiply(linear(x, p.part(0), q_, 1));
    for (Index h = 0; h < heads; ++h)
      device.multiply(Product<float>{columns_of_head(q_, h, heads), rows_of_head(p.part(1), h, heads),
                                     columns_of_head(f_, h, heads), false, false, scale(p, heads), 0});
    return f_;
  }
  /// Adds to the gradients; dx [R, D] is overwritten, or added to.
  template <Device D>
  void backward(D& device, HeadSums& sums, const TorchAttentionRows<const float>& p, const TorchAttentionRows<float>& dp,
                Index heads, Rows<const float> x, Rows<const float> df, Rows<float> dx, bool add) {
    const Rows<float> dq = dq_.rows(device, x.rows, p.width());
    for (Index h = 0; h < heads; ++h) {
      const Rows<const float> df_h = columns_of_head(df, h, heads);
      device.multiply(Product<float>{columns_of_head(q_, h, heads), df_h, rows_of_head(dp.part(1), h, heads), true, false,
                                     scale(p, heads), 1});
      device.multiply(Product<float>{df_h, rows_of_head(p.part(1), h, heads), columns_of_head(dq, h, heads), false, true,
                                     scale(p, heads), 0});
    }
    sums.add_columns(device, dq, dp.bias(0));
    device.multiply(linear_weight_gradient(Rows<const float>(dq), x, dp.part(0), 1));
    device.multiply(linear_input_gradient(Rows<const float>(dq), p.part(0), dx, add ? 1.0f : 0.0f));
  }

 private:
  static float scale(const TorchAttentionRows<const float>& p, Index heads) {
    return 1.0f / std::sqrt(static_cast<float>(p.width() / heads));
  }
  DeviceBuffer<float> q_buffer_, f_buffer_, dq_;
  Rows<float> q_, f_;
};

/// From the weights of each head to attention's output, a row a text.
class TorchValues {
 public:
  /// Shapes  weights [H, N], y [N, D], out [B, D]
  template <Device D>
  void forward(D& device, const TorchAttentionRows<const float>& p, const RowRanges& keys, Rows<const float> weights,
               Rows<const float> y, Rows<float> out) {
    const Index heads = weights.rows, width = p.width();
    pooled_ = pooled_buffer_.rows(device, keys.texts, heads * width);
    o_ = o_buffer_.rows(device, keys.texts, width);
    device.launch(head_kernels::KeyMix{keys, weights, y, by_head(pooled_, heads)});
    device.launch(head_kernels::AddRows{p.bias(2), o_, false});
    for (Index h = 0; h < heads; ++h)
      device.multiply(linear(Rows<const float>(columns_of_head(pooled_, h, heads)), rows_of_head(p.part(2), h, heads),
                             columns_of_head(o_, h, heads), 1));
    device.launch(head_kernels::AddRows{p.out_bias, out, false});
    device.multiply(linear(Rows<const float>(o_), p.out_weight, out, 1));
  }
  /// Adds to the gradients; dweights [H, N] and dy [N, D] are overwritten.
  template <Device D>
  void backward(D& device, HeadSums& sums, const TorchAttentionRows<const float>& p, const TorchAttentionRows<float>& dp,
                const RowRanges& keys, Rows<const float> weights, Rows<const float> y, Rows<const float> dout,
                Rows<float> dweights, Rows<float> dy) {
    const Index heads = weights.rows, width = p.width();
    const Rows<float> d_o = do_.rows(device, keys.texts, width);
    const Rows<float> dpooled = dpooled_.rows(device, keys.texts, heads * width);
    sums.add_columns(device, dout, dp.out_bias);
    device.multiply(linear_weight_gradient(dout, Rows<const float>(o_), dp.out_weight, 1));
    device.multiply(linear_input_gradient(dout, p.out_weight, d_o));
    sums.add_columns(device, d_o, dp.bias(2));
    for (Index h = 0; h < heads; ++h) {
      const Rows<const float> d_o_h = columns_of_head(d_o, h, heads);
      device.multiply(linear_weight_gradient(d_o_h, Rows<const float>(columns_of_head(pooled_, h, heads)),
                                             rows_of_head(dp.part(2), h, heads), 1));
      device.multiply(
          linear_input_gradient(d_o_h, rows_of_head(p.part(2), h, heads), columns_of_head(dpooled, h, heads)));
    }
    device.launch(head_kernels::KeyScores{keys, by_head(dpooled, heads), y, dweights});
    device.launch(head_kernels::KeySpread{keys, weights, by_head(dpooled, heads), dy});
  }

 private:
  /// [B, H D] as [B H, D]
  static Rows<float> by_head(Rows<float> rows, Index heads) noexcept {
    return {rows.data, rows.rows * heads, rows.cols / heads};
  }
  DeviceBuffer<float> pooled_buffer_, o_buffer_, do_, dpooled_;
  Rows<float> pooled_, o_;
};

}  // namespace embedpool::cuda
