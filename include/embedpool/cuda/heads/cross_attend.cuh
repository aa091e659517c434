#pragma once
#include "embedpool/cuda/heads/device_params.hpp"
#include "embedpool/cuda/heads/folded_queries.cuh"
#include "embedpool/cuda/kernels/heads/key_products.cuh"

namespace embedpool::cuda {

/// The tensors of head_math::CrossAttendParams, or their gradients.
template <class T>
struct CrossAttendTensors {
  Rows<T> hidden_gain, hidden_bias, latent_gain, latent_bias, to_q, to_kv, to_out;
  Rows<T> to_k() const noexcept { return to_kv.middle_rows(0, to_q.rows); }
  Rows<T> to_v() const noexcept { return to_kv.middle_rows(to_q.rows, to_q.rows); }
};
template <class Head>
CrossAttendTensors<const float> cross_attend_values(const DeviceParams<Head>& p) {
  const std::string block = "cross_attend_blocks.0.";
  return {p.value(block + "norm.weight"),      p.value(block + "norm.bias"),        p.value(block + "norm_context.weight"),
          p.value(block + "norm_context.bias"), p.value(block + "fn.to_q.weight"), p.value(block + "fn.to_kv.weight"),
          p.value(block + "fn.to_out.weight")};
}
template <class Head>
CrossAttendTensors<float> cross_attend_gradients(const DeviceParams<Head>& p) {
  const std::string block = "cross_attend_blocks.0.";
  return {p.gradient(block + "norm.weight"),         p.gradient(block + "norm.bias"),
          p.gradient(block + "norm_context.weight"), p.gradient(block + "norm_context.bias"),
          p.gradient(block + "fn.to_q.weight"),      p.gradient(block + "fn.to_kv.weight"),
          p.gradient(block + "fn.to_out.weight")};
}

/// From the weights of r queries to the rows that they add, in the order of products that suits r, and r alone: a text
/// must not be computed differently for its batch.
///
///   few queries    rows are mixed, then projected:   x_i += sum_h W_O,h W_V,h (sum_n a_ih,n y_n)
///   many queries   keys are projected, then mixed:   x_i += sum_h sum_n a_ih,n (W_O,h W_V,h y_n)
class CrossAttendValues {
 public:
  explicit CrossAttendValues(Index heads) : heads_(heads) {}

  /// From so many queries on there are more of them than keys of a text that has one for each layer.
  static constexpr Index many_queries = 65;

  /// Shapes  a [r H, N], row i H + h; y [N, D]; x [B r, D]
  template <Device D>
  void forward(D& device, const CrossAttendTensors<const float>& p, const RowRanges& keys, Rows<const float> a,
               Rows<const float> y, Rows<float> x) {
    if (keys_first(a)) {
      v_ = v_buffer_.rows(device, y.rows, p.to_q.rows);
      rows_ = rows_buffer_.rows(device, y.rows, heads_ * y.cols);
      device.multiply(linear(y, p.to_v(), v_));
      for (Index h = 0; h < heads_; ++h)
        device.multiply(linear(Rows<const float>(columns_of_head(v_, h, heads_)), columns_of_head(p.to_out, h, heads_),
                               columns_of_head(rows_, h, heads_)));
      device.launch(head_kernels::KeyMix{keys, a, rows_, x, heads_, true});
      return;
    }
    rows_ = rows_buffer_.rows(device, x.rows * heads_, y.cols);
    v_ = v_buffer_.rows(device, x.rows, p.to_q.rows);
    device.launch(head_kernels::KeyMix{keys, a, y, rows_});
    for (Index h = 0; h < heads_; ++h)
      device.multiply(linear(Rows<const float>(rows_of_head(rows_, h, heads_, HeadOrder::inner)), of_head(p.to_v(), h),
                             columns_of_head(v_, h, heads_)));
    device.multiply(linear(Rows<const float>(v_), p.to_out, x, 1));
  }

  /// Adds to the gradients; da [r H, N] and dy [N, D] are overwritten.
  template <Device D>
  void backward(D& device, const CrossAttendTensors<const float>& p, const CrossAttendTensors<float>& dp,
                const RowRanges& keys, Rows<const float> a, Rows<const float> y, Rows<const float> dx, Rows<float> da,
                Rows<float> dy) {
    const Rows<float> dv = dv_.rows(device, v_.rows, v_.cols), drows = drows_.rows(device, rows_.rows, rows_.cols);
    if (keys_first(a)) {
      device.launch(head_kernels::KeyScores{keys, dx, rows_, da, heads_});
      device.launch(head_kernels::KeySpread{keys, a, dx, drows, heads_});
      for (Index h = 0; h < heads_; ++h) {
        const Rows<const float> drows_h = columns_of_head(drows, h, heads_), v_h = columns_of_head(v_, h, heads_);
        device.multiply(linear_weight_gradient(drows_h, v_h, columns_of_head(dp.to_out, h, heads_), 1));
        device.multiply(
            linear_input_gradient(drows_h, columns_of_head(p.to_out, h, heads_), columns_of_head(dv, h, heads_)));
      }
      device.multiply(linear_weight_gradient(Rows<const float>(dv), y, dp.to_v(), 1));
      device.multiply(linear_input_gradient(Rows<const float>(dv), p.to_v(), dy));
      return;
    }
    device.multiply(linear_weight_gradient(dx, Rows<const float>(v_), dp.to_out, 1));
    device.multiply(linear_input_gradient(dx, p.to_out, dv));
    for (Index h = 0; h < heads_; ++h) {
      const Rows<const float> dv_h = columns_of_head(dv, h, heads_);
      device.multiply(linear_weight_gradient(
          dv_h, Rows<const float>(rows_of_head(rows_, h, heads_, HeadOrder::inner)), of_head(dp.to_v(), h), 1));
      device.multiply(
          linear_input_gradient(dv_h, of_head(p.to_v(), h), rows_of_head(drows, h, heads_, HeadOrder::inner)));
    }
    device.launch(head_kernels::KeyScores{keys, drows, y, da});
    device.launch(head_kernels::KeySpread{keys, a, drows, dy});
  }

 private:
  bool keys_first(Rows<const float> a) const noexcept { return a.rows / heads_ >= many_queries; }
  template <class T>
  Rows<T> of_head(Rows<T> weight, Index h) const noexcept {
    return rows_of_head(weight, h, heads_, HeadOrder::outer);
  }

  Index heads_;
  DeviceBuffer<float> v_buffer_, rows_buffer_, dv_, drows_;
  Rows<float> v_;     // behind W_V: [N, H d] of the keys, or [B r, H d] of the mixed rows
  Rows<float> rows_;  // keys behind both projections [N, H D], or mixed rows [B r H, D]
};

}  // namespace embedpool::cuda
