#pragma once
#include <cmath>

#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/grid/reduce.cuh"

namespace embedpool::cuda {

/// RMSNorm of every row: out = x / sqrt(mean(x^2) + eps) .* gain. A block for a row, its threads stride over the width.
///
/// Shapes  x, out [N, D] (may be the same), gain [D]
/// Oracle  embedpool::rms_norm
template <DeviceElement T>
struct RmsNorm {
  static constexpr int threads = 128;
  Rows<const T> x;
  const T* gain;
  float epsilon;
  Rows<T> out;

  LaunchShape launch_shape() const noexcept { return {x.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const from = x.row_data(thread.block());
    T* const to = out.row_data(thread.block());
    float squares = 0;
    for_columns<T>(thread, x.cols, in_packs(x), [&](auto n, Index j) {
      for (const float value : load<n>(from + j)) squares += value * value;
    });
    squares = block_reduce(thread, squares, Sum{}, reinterpret_cast<float*>(thread.shared()));
    const float scale = 1.0f / std::sqrt(squares / static_cast<float>(x.cols) + epsilon);
    for_columns<T>(thread, x.cols, in_packs(x) && in_packs(out) && in_packs(gain), [&](auto n, Index j) {
      auto values = load<n>(from + j);
      const auto gains = load<n>(gain + j);
      for (std::size_t i = 0; i < n; ++i) values[i] *= scale * gains[i];
      store(to + j, values);
    });
  }
};

}  // namespace embedpool::cuda
