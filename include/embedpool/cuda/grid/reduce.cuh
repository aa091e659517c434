#pragma once
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

struct Sum {
  template <class T>
  EMBEDPOOL_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Largest {
  template <class T>
  EMBEDPOOL_DEVICE T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

/// `combine` over a value of each of `width` neighbouring lanes (a power of two); every lane gets the result, with the
/// same bits: lanes combine in pairs, and a + b is b + a.
template <int width = warp_size, GridThread T, class V, class Combine>
EMBEDPOOL_DEVICE V warp_reduce(const T& thread, V value, Combine combine) {
  for (int distance = width / 2; distance > 0; distance /= 2)
    value = combine(value, thread.exchange(value, thread.lane() ^ distance));
  return value;
}

/// `combine` over a value of each thread of the block, in an order that depends on their number alone; every thread gets
/// the result.
///
/// Requires  `scratch` in shared memory has a place for each warp, and nobody reads what was in it
template <GridThread T, class V, class Combine>
EMBEDPOOL_DEVICE V block_reduce(const T& thread, V value, Combine combine, V* scratch) {
  value = warp_reduce(thread, value, combine);
  const int warps = thread.threads() / warp_size;
  thread.synchronize();  // the last reduction's results have been read
  if (thread.lane() == 0) scratch[thread.warp()] = value;
  thread.synchronize();
  V all = scratch[0];
  for (int w = 1; w < warps; ++w) all = combine(all, scratch[w]);
  return all;
}

}  // namespace embedpool::cuda
