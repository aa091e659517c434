#pragma once
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda::head_kernels {

/// Rows and columns of the result that a block of 256 threads makes, 4 x 4 a thread, and inner indices in shared memory
/// at a time.
inline constexpr int tile = 64;
inline constexpr int tile_depth = 16;
inline constexpr int tile_threads = 256;
/// A row of the tile in shared memory: 16 bytes more than its values, so that columns lie in different banks.
inline constexpr int tile_stride = tile + 4;
inline constexpr Index tile_shared_bytes = 2 * tile_depth * tile_stride * Index(sizeof(float));

/// sums += L R of one tile. left(i, k) and right(k, j) give the values for 0 <= i, j < 64 and 0 <= k < inner, 0 where the
/// matrix has ended. A sum runs over rising k, in one thread.
///
///   left_along_k   neighbouring k of L are neighbours in memory, else neighbouring i; right_along_k: the same of R and j
///
/// Requires  `inner` is the same for all threads of the block
template <bool left_along_k, bool right_along_k, GridThread G, class Left, class Right>
EMBEDPOOL_DEVICE void add_tile_product(const G& thread, Index inner, const Left& left, const Right& right,
                                       float (&sums)[4][4]) {
  float* const l = reinterpret_cast<float*>(thread.shared());
  float* const r = l + tile_depth * tile_stride;
  const int row = thread.index() / 16 * 4, column = thread.index() % 16 * 4;
  const auto fill = [&](bool along_k, float* to, Index first, const auto& value) {
    for (int step = 0; step < tile * tile_depth / tile_threads; ++step) {
      const int e = thread.index() + step * tile_threads;
      const int k = along_k ? e % tile_depth : e / tile, i = along_k ? e / tile_depth : e % tile;
      to[k * tile_stride + i] = first + k < inner ? value(first + k, i) : 0.0f;
    }
  };
  for (Index first = 0; first < inner; first += tile_depth) {
    thread.synchronize();  // the last step's values have been read
    fill(left_along_k, l, first, [&](Index k, int i) { return left(i, k); });
    fill(right_along_k, r, first, [&](Index k, int j) { return right(k, j); });
    thread.synchronize();
    for (int k = 0; k < tile_depth; ++k)
      for (int i = 0; i < 4; ++i)
        for (int j = 0; j < 4; ++j) sums[i][j] += l[k * tile_stride + row + i] * r[k * tile_stride + column + j];
  }
}

/// store(i, j, sum) for the 16 results of a thread.
template <GridThread G, class Store>
EMBEDPOOL_DEVICE void store_tile(const G& thread, const float (&sums)[4][4], const Store& store) {
  const int row = thread.index() / 16 * 4, column = thread.index() % 16 * 4;
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) store(row + i, column + j, sums[i][j]);
}

}  // namespace embedpool::cuda::head_kernels
