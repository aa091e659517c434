#pragma once
#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda::head_kernels {

/// x = max(x, 0). A block for a row.
struct ReluRows {
  static constexpr int threads = 128;
  Rows<float> x;

  LaunchShape launch_shape() const noexcept { return {x.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    float* const row = x.row_data(thread.block());
    for (Index j = thread.index(); j < x.cols; j += threads) row[j] = row[j] > 0 ? row[j] : 0.0f;
  }
};

/// dx = dy where the result y was above 0, which is where the input was; else 0. Shapes: y, dy, dx [N, D]
struct ReluRowsBackward {
  static constexpr int threads = 128;
  Rows<const float> y;
  Rows<const float> dy;
  Rows<float> dx;

  LaunchShape launch_shape() const noexcept { return {dx.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index i = thread.block();
    for (Index j = thread.index(); j < dx.cols; j += threads) dx(i, j) = y(i, j) > 0 ? dy(i, j) : 0.0f;
  }
};

}  // namespace embedpool::cuda::head_kernels
