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

/// Values that move as one access when there are pack_size<T> of them.
template <class T, int n>
struct alignas(n == pack_size<T> ? 16 : alignof(T)) Pack {
  T values[n];
};

/// n neighbouring values as floats. Requires  n is 1, or pack_size<T> and p is aligned to 16 bytes
template <int n, DeviceElement T>
EMBEDPOOL_DEVICE std::array<float, n> load(const T* p) {
  const auto pack = *reinterpret_cast<const Pack<T, n>*>(p);
  std::array<float, n> values;
  for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = widened(pack.values[i]);
  return values;
}

/// The way back, rounded.
template <DeviceElement T, std::size_t n>
EMBEDPOOL_DEVICE void store(T* p, const std::array<float, n>& values) {
  Pack<T, static_cast<int>(n)> pack;
  for (std::size_t i = 0; i < n; ++i) pack.values[i] = rounded<T>(values[i]);
  *reinterpret_cast<Pack<T, static_cast<int>(n)>*>(p) = pack;
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
