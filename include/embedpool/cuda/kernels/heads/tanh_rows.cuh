#pragma once
#include <cmath>

#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda::head_kernels {

/// x = tanh(x + bias). A block for a row. Shapes: x [N, A], bias [A]
struct TanhRows {
  static constexpr int threads = 128;
  const float* bias;
  Rows<float> x;

  LaunchShape launch_shape() const noexcept { return {x.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    float* const row = x.row_data(thread.block());
    for (Index j = thread.index(); j < x.cols; j += threads) row[j] = std::tanh(row[j] + bias[j]);
  }
};

/// The input's gradient where row n of the result t has the gradient dz[n] v: dx = dz[n] v .* (1 - t^2).
///
/// Shapes  dz [N], v [A], t and dx [N, A]
struct TanhRowsBackward {
  static constexpr int threads = 128;
  const float* dz;
  const float* v;
  Rows<const float> t;
  Rows<float> dx;

  LaunchShape launch_shape() const noexcept { return {t.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block();
    for (Index j = thread.index(); j < t.cols; j += threads) dx(i, j) = dz[i] * v[j] * (1.0f - t(i, j) * t(i, j));
  }
};

}  // namespace embedpool::cuda::head_kernels
