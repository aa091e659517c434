#pragma once
#include <cmath>

#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/grid/reduce.cuh"

namespace embedpool::cuda {

/// A shorter row is divided by this.
inline constexpr float shortest_length = 1e-12f;

/// Rows scaled to length one: u = x / max(|x|, 1e-12). A block for a row, its threads stride over the width. The first
/// k columns of an embedding are `x` with fewer columns than its stride: cut first, then made a unit vector.
///
/// Shapes    x, units [N, D] (may be the same), lengths [N], or null where there is no backward
/// Requires  the squares of a row add up to less than the largest float
/// Oracle    embedpool::UnitRows, embedpool::l2_normalize
template <DeviceElement T>
struct UnitRows {
  static constexpr int threads = 128;
  Rows<const T> x;
  Rows<T> units;
  float* lengths = nullptr;

  LaunchShape launch_shape() const noexcept { return {x.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const from = x.row_data(thread.block());
    T* const to = units.row_data(thread.block());
    float squares = 0;
    for_columns<T>(thread, x.cols, in_packs(x), [&](auto n, Index j) {
      for (const float value : load<n>(from + j)) squares += value * value;
    });
    const float length =
        std::sqrt(block_reduce(thread, squares, Sum{}, reinterpret_cast<float*>(thread.shared())));
    if (lengths && thread.index() == 0) lengths[thread.block()] = length;
    const float divisor = length < shortest_length ? shortest_length : length;
    for_columns<T>(thread, x.cols, in_packs(x) && in_packs(units), [&](auto n, Index j) {
      auto values = load<n>(from + j);
      for (float& value : values) value /= divisor;
      store(to + j, values);
    });
  }
};

/// dx += (du - u (u . du)) / max(|x|, 1e-12); where |x| is below the floor u is linear in x and the second term is left
/// out. A block for a row.
///
/// Shapes  units, dunits, dx [N, D], lengths [N] as forward left them
/// Oracle  embedpool::UnitRows::backward
template <DeviceElement T>
struct UnitRowsBackward {
  static constexpr int threads = 128;
  Rows<const T> units;
  const float* lengths;
  Rows<const T> dunits;
  Rows<T> dx;

  LaunchShape launch_shape() const noexcept { return {units.rows, threads / warp_size * Index(sizeof(float))}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const u = units.row_data(thread.block());
    const T* const du = dunits.row_data(thread.block());
    T* const out = dx.row_data(thread.block());
    float dot = 0;
    for_columns<T>(thread, units.cols, in_packs(units) && in_packs(dunits), [&](auto n, Index j) {
      const auto left = load<n>(u + j), right = load<n>(du + j);
      for (std::size_t i = 0; i < n; ++i) dot += left[i] * right[i];
    });
    dot = block_reduce(thread, dot, Sum{}, reinterpret_cast<float*>(thread.shared()));
    const float length = lengths[thread.block()];
    const float radial = length > shortest_length ? dot : 0.0f;
    const float divisor = length < shortest_length ? shortest_length : length;
    for_columns<T>(thread, units.cols, in_packs(units) && in_packs(dunits) && in_packs(dx), [&](auto n, Index j) {
      const auto unit = load<n>(u + j), gradient = load<n>(du + j);
      auto sum = load<n>(out + j);
      for (std::size_t i = 0; i < n; ++i) sum[i] += (gradient[i] - radial * unit[i]) / divisor;
      store(out + j, sum);
    });
  }
};

}  // namespace embedpool::cuda
