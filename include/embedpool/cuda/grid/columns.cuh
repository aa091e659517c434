#pragma once
#include <array>
#include <cstdint>
#include <type_traits>

#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/element.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"

namespace embedpool::cuda {

/// Neighbouring values that fill one 16-byte access.
template <class T>
inline constexpr int pack_size = 16 / static_cast<int>(sizeof(T));

/// Values that move as one access.
template <class T, int n>
struct alignas(n * sizeof(T)) Pack {
  T values[n];
};

/// n neighbouring values as floats, in accesses of at most 16 bytes.
/// Requires  n a power of two, p aligned to min(16, n sizeof(T)) bytes
template <int n, DeviceElement T>
EMBEDPOOL_DEVICE std::array<float, n> load(const T* p) {
  constexpr int step = n < pack_size<T> ? n : pack_size<T>;
  std::array<float, n> values;
  for (int first = 0; first < n; first += step) {
    const auto pack = *reinterpret_cast<const Pack<T, step>*>(p + first);
    for (int i = 0; i < step; ++i) values[static_cast<std::size_t>(first + i)] = widened(pack.values[i]);
  }
  return values;
}

/// The way back, rounded.
template <DeviceElement T, std::size_t n>
EMBEDPOOL_DEVICE void store(T* p, const std::array<float, n>& values) {
  constexpr int count = static_cast<int>(n), step = count < pack_size<T> ? count : pack_size<T>;
  for (int first = 0; first < count; first += step) {
    Pack<T, step> pack;
    for (int i = 0; i < step; ++i) pack.values[i] = rounded<T>(values[static_cast<std::size_t>(first + i)]);
    *reinterpret_cast<Pack<T, step>*>(p + first) = pack;
  }
}

/// Whether every row of a matrix can be read in whole packs.
template <class T>
constexpr bool in_packs(const Rows<T>& rows) noexcept {
  return rows.cols % pack_size<std::remove_const_t<T>> == 0 && rows.stride % pack_size<std::remove_const_t<T>> == 0 &&
         reinterpret_cast<std::uintptr_t>(rows.data) % 16 == 0;
}
/// And a vector beside them.
template <class T>
constexpr bool in_packs(const T* vector) noexcept {
  return reinterpret_cast<std::uintptr_t>(vector) % 16 == 0;
}

/// The one that fewer of fit into 16 bytes. A kernel that reads matrices of several element types side by side takes
/// for_columns<Wider<A, B>>: every access is one of a power of two of bytes, and neighbours' accesses touch.
template <class A, class B>
using Wider = std::conditional_t<(sizeof(A) < sizeof(B)), B, A>;

/// Calls f(n, j) for the columns [j, j + n) that fall to this thread, in rising order: n is an integral constant,
/// pack_size<T> when `packs` says that all accesses are aligned, else 1. Neighbouring threads get neighbouring columns.
template <class T, GridThread G, class F>
EMBEDPOOL_DEVICE void for_columns(const G& thread, Index columns, bool packs, F&& f) {
  if (packs) {
    constexpr int n = pack_size<T>;
    for (Index j = Index(thread.index()) * n; j < columns; j += Index(thread.threads()) * n)
      f(std::integral_constant<int, n>{}, j);
  } else {
    for (Index j = thread.index(); j < columns; j += thread.threads()) f(std::integral_constant<int, 1>{}, j);
  }
}

}  // namespace embedpool::cuda
