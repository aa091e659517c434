#pragma once
#include "embedpool/cuda/grid/columns.cuh"

namespace embedpool::cuda {

/// Work on values one by one: a matrix of any shape falls apart into stripes of one row, a block for each, so that a
/// single row of millions of values keeps a whole GPU busy as well.
inline constexpr Index stripe_columns = 4096;
inline constexpr int stripe_threads = 256;

constexpr LaunchShape stripes(Index rows, Index cols) noexcept { return {rows * divide_up(cols, stripe_columns), 0}; }

/// Calls f(n, row, j) for the groups [j, j + n) of columns of this block's stripe that fall to this thread; see
/// for_columns.
template <class T, GridThread G, class F>
EMBEDPOOL_DEVICE void for_stripe(const G& thread, Index cols, bool packs, F&& f) {
  const Index stripes_a_row = divide_up(cols, stripe_columns);
  const Index row = thread.block() / stripes_a_row, first = thread.block() % stripes_a_row * stripe_columns;
  const Index width = cols - first < stripe_columns ? cols - first : stripe_columns;
  for_columns<T>(thread, width, packs, [&](auto n, Index j) { f(n, row, first + j); });
}

}  // namespace embedpool::cuda
