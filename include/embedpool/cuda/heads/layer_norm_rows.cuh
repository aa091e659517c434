#pragma once
#include "embedpool/cuda/heads/head_sums.cuh"
#include "embedpool/cuda/kernels/heads/standardise.cuh"
#include "embedpool/pooling/heads/head_math.hpp"

namespace embedpool::cuda {

/// Rows that keys get added by their kind; empty for none.
struct KindTable {
  Rows<const float> rows{};
  const Index* kind = nullptr;
};

/// LayerNorm of many rows, with what its backward needs.
class LayerNormRows {
 public:
  /// x_hat = (x - mean) / sqrt(var + eps)
  template <Device D>
  Rows<const float> standardise(D& device, Rows<const float> x) {
    reserve(device, x);
    device.launch(head_kernels::StandardiseRows{x, x_hat_, scale_.data(), epsilon});
    return x_hat_;
  }
  /// dx = standardise's backward (+ dx). dx may be dx_hat
  template <Device D>
  void standardise_backward(D& device, Rows<const float> dx_hat, Rows<float> dx, bool add) const {
    device.launch(head_kernels::StandardiseRowsBackward{dx_hat, x_hat_, scale_.data(), dx, add});
  }

  /// y = x_hat .* gain + bias of x + table
  template <Device D>
  Rows<const float> apply(D& device, Rows<const float> x, Rows<const float> gain, Rows<const float> bias,
                          const KindTable& table = {}) {
    reserve(device, x);
    const Rows<float> y = y_.rows(device, x.rows, x.cols);
    device.launch(head_kernels::StandardiseRows{x, x_hat_, scale_.data(), epsilon, table.rows, table.kind, y, gain.data,
                                                bias.data});
    return y;
  }
  /// dgain += columns of dy .* x_hat, dbias += columns of dy, dx = the input's gradient. dy is used up; dx is not dy
  template <Device D>
  void backward(D& device, HeadSums& sums, Rows<float> dy, Rows<const float> gain, Rows<float> dgain, Rows<float> dbias,
                Rows<float> dx) const {
    sums.add_columns(device, dy, dbias);
    device.launch(
        head_kernels::StandardiseRowsBackward{dy, x_hat_, scale_.data(), dx, false, gain.data, dy});
    sums.add_columns(device, dy, dgain);
  }

 private:
  static constexpr float epsilon = static_cast<float>(embedpool::head_math::layer_norm_epsilon);

  template <Device D>
  void reserve(D& device, Rows<const float> x) {
    x_hat_ = hat_.rows(device, x.rows, x.cols);
    scale_.reserve(device, x.rows);
  }

  DeviceBuffer<float> hat_, scale_, y_;
  Rows<float> x_hat_;
};

}  // namespace embedpool::cuda
