#pragma once
#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/element.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// out = factor out; with factor 0, zero whatever `out` held. A block for a row, its threads stride over the width.
///
/// Shapes  out [N, D]
template <DeviceElement T>
struct ScaleRows {
  static constexpr int threads = 128;
  Rows<T> out;
  float factor;

  LaunchShape launch_shape() const noexcept { return {out.cols > 0 ? out.rows : 0, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    T* const row = out.row_data(thread.block());
    for (Index j = thread.index(); j < out.cols; j += threads)
      row[j] = factor == 0 ? T{} : rounded<T>(factor * widened(row[j]));
  }
};

}  // namespace embedpool::cuda
