#pragma once
#include <cmath>

#include "embedpool/cuda/heads/head_sums.cuh"

namespace embedpool::cuda {

/// Where the rows of a head are among R rows for each of H heads: row i of head h is i H + h, or h R + i.
enum class HeadOrder { inner, outer };

/// The rows of one head: a view.
template <class T>
Rows<T> rows_of_head(Rows<T> rows, Index head, Index heads, HeadOrder order) noexcept {
  const Index count = rows.rows / heads;
  if (order == HeadOrder::outer) return rows.middle_rows(head * count, count);
  return {rows.row_data(head), count, rows.cols, rows.stride * heads};
}
/// Columns [h d, (h + 1) d), where a row holds one after the other what each head has.
template <class T>
Rows<T> columns_of_head(Rows<T> rows, Index head, Index heads) noexcept {
  return rows.middle_cols(head * (rows.cols / heads), rows.cols / heads);
}

/// Queries with the key projection folded into them, so that keys need no projection to be scored:
///
///   q = x W_Q^T + b_Q      f_h = W_K,h^T q_h / sqrt(d)      so that f_h . y = q_h . (W_K,h y) / sqrt(d)
///
/// Shapes  x [R, D], W_Q and W_K [H d, D], b_Q [1, H d] or empty for 0 -> f [R H, D]
class FoldedQueries {
 public:
  template <class T>
  struct Weights {
    Rows<T> to_q, to_k, bias{};
  };

  FoldedQueries(Index heads, HeadOrder order) : heads_(heads), order_(order) {}

  template <Device D>
  Rows<const float> forward(D& device, const Weights<const float>& p, Rows<const float> x) {
    q_ = q_buffer_.rows(device, x.rows, p.to_q.rows);
    f_ = f_buffer_.rows(device, x.rows * heads_, p.to_k.cols);
    device.multiply(linear(x, p.to_q, q_, 0, p.bias.data));
    for (Index h = 0; h < heads_; ++h)
      device.multiply(Product<float>{columns_of_head(q_, h, heads_), of_head(p.to_k, h), rows_of_head(f_, h, heads_, order_),
                                     false, false, scale(), 0});
    return f_;
  }
  /// Adds to the gradients; dx [R, D] is overwritten, or added to.
  template <Device D>
  void backward(D& device, HeadSums& sums, const Weights<const float>& p, const Weights<float>& dp, Rows<const float> x,
                Rows<const float> df, Rows<float> dx, bool add) {
    const Rows<float> dq = dq_.rows(device, x.rows, p.to_q.rows);
    for (Index h = 0; h < heads_; ++h) {
      const Rows<const float> df_h = rows_of_head(df, h, heads_, order_);
      device.multiply(
          Product<float>{columns_of_head(q_, h, heads_), df_h, of_head(dp.to_k, h), true, false, scale(), 1});
      device.multiply(
          Product<float>{df_h, of_head(p.to_k, h), columns_of_head(dq, h, heads_), false, true, scale(), 0});
    }
    if (dp.bias.data != nullptr) sums.add_columns(device, dq, dp.bias);
    device.multiply(linear_weight_gradient(Rows<const float>(dq), x, dp.to_q, 1));
    device.multiply(linear_input_gradient(Rows<const float>(dq), p.to_q, dx, add ? 1.0f : 0.0f));
  }

 private:
  template <class T>
  Rows<T> of_head(Rows<T> weight, Index h) const noexcept {
    return rows_of_head(weight, h, heads_, HeadOrder::outer);
  }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(q_.cols / heads_)); }

  Index heads_;
  HeadOrder order_;
  DeviceBuffer<float> q_buffer_, f_buffer_, dq_;
  Rows<float> q_, f_;
};

}  // namespace embedpool::cuda
