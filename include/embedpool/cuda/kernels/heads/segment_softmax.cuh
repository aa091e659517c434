#pragma once
#include <cmath>

#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/heads/row_ranges.hpp"

namespace embedpool::cuda::head_kernels {

/// A warp for each row and text of a matrix [C, N] whose columns are keys.
struct WarpOfSegment {
  static constexpr int warps = 4;
  Index row = 0, begin = 0, size = 0;  ///< size 0: nothing to do

  constexpr WarpOfSegment(const RowRanges& keys, Index rows, Index item) noexcept {
    if (item >= rows * keys.texts) return;
    row = item / keys.texts;
    begin = keys.begin(item % keys.texts);
    size = keys.size(item % keys.texts);
  }
  static constexpr LaunchShape shape(const RowRanges& keys, Index rows) noexcept {
    return {divide_up(rows * keys.texts, warps), 0};
  }
};

/// Softmax of every row over the keys of each text, in place. Keys with -infinity get 0.
///
/// Plan    a warp for a row and text, its lanes stride over the keys
/// Shapes  z [C, N]
/// Oracle  embedpool::head_math::softmax_rows
struct SegmentSoftmax {
  static constexpr int threads = WarpOfSegment::warps * warp_size;
  RowRanges keys;
  Rows<float> z;

  LaunchShape launch_shape() const noexcept { return WarpOfSegment::shape(keys, z.rows); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const WarpOfSegment own(keys, z.rows, thread.block() * WarpOfSegment::warps + thread.warp());
    float* const row = z.row_data(own.row) + own.begin;
    float top = -HUGE_VALF;
    for (Index n = thread.lane(); n < own.size; n += warp_size) top = top < row[n] ? row[n] : top;
    top = warp_reduce(thread, top, Largest{});
    float sum = 0;
    for (Index n = thread.lane(); n < own.size; n += warp_size) {
      row[n] = std::exp(row[n] - top);
      sum += row[n];
    }
    sum = warp_reduce(thread, sum, Sum{});
    for (Index n = thread.lane(); n < own.size; n += warp_size) row[n] /= sum;
  }
};

/// a = softmax(z):  dz = scale factor a .* (da - sum over the text's keys of a .* da). dz may be da.
///
/// Shapes  a, dz [C, N]; da [C', N] where row c of a has the gradient of row c modulo C'; factor [1] or null for 1
/// Oracle  embedpool::head_math::softmax_rows_backward
struct SegmentSoftmaxBackward {
  static constexpr int threads = WarpOfSegment::warps * warp_size;
  RowRanges keys;
  Rows<const float> a;
  Rows<const float> da;
  Rows<float> dz;
  float scale = 1;
  const float* factor = nullptr;

  LaunchShape launch_shape() const noexcept { return WarpOfSegment::shape(keys, a.rows); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const WarpOfSegment own(keys, a.rows, thread.block() * WarpOfSegment::warps + thread.warp());
    const float* const weight = a.row_data(own.row) + own.begin;
    const float* const d = da.row_data(own.row % da.rows) + own.begin;
    float along = 0;
    for (Index n = thread.lane(); n < own.size; n += warp_size) along += weight[n] * d[n];
    along = warp_reduce(thread, along, Sum{});
    const float by = factor != nullptr ? scale * *factor : scale;
    float* const out = dz.row_data(own.row) + own.begin;
    for (Index n = thread.lane(); n < own.size; n += warp_size) out[n] = by * (weight[n] * (d[n] - along));
  }
};

}  // namespace embedpool::cuda::head_kernels
