#pragma once
#include <algorithm>

#include "embedpool/cuda/grid/columns.cuh"

namespace embedpool::cuda {

/// Kernels that read and write matrices of several element types side by side take groups of n columns: as many as fill
/// 16 bytes of the widest type, so that every access is one of a power of two of bytes, and neighbours' accesses touch.

/// The one that fewer of fit into 16 bytes; `for_columns<Wider<A, B>>` hands out groups of it.
template <class A, class B>
using Wider = std::conditional_t<(sizeof(A) < sizeof(B)), B, A>;

/// Values that move as one access.
template <class T, int n>
struct alignas(n * sizeof(T)) Group {
  T values[n];
};

/// n neighbouring values as floats, in accesses of at most 16 bytes.
/// Requires  n a power of two, p aligned to min(16, n sizeof(T)) bytes
template <int n, DeviceElement T>
EMBEDPOOL_DEVICE std::array<float, n> load_group(const T* p) {
  constexpr int step = std::min(n, pack_size<T>);
  std::array<float, n> values;
  for (int first = 0; first < n; first += step) {
    const auto group = *reinterpret_cast<const Group<T, step>*>(p + first);
    for (int i = 0; i < step; ++i) values[static_cast<std::size_t>(first + i)] = widened(group.values[i]);
  }
  return values;
}

/// The way back, rounded.
template <DeviceElement T, std::size_t n>
EMBEDPOOL_DEVICE void store_group(T* p, const std::array<float, n>& values) {
  constexpr int step = std::min(static_cast<int>(n), pack_size<T>);
  for (int first = 0; first < static_cast<int>(n); first += step) {
    Group<T, step> group;
    for (int i = 0; i < step; ++i) group.values[i] = rounded<T>(values[static_cast<std::size_t>(first + i)]);
    *reinterpret_cast<Group<T, step>*>(p + first) = group;
  }
}

}  // namespace embedpool::cuda
