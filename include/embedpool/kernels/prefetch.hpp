#pragma once
#include "embedpool/core/rows.hpp"

namespace embedpool::simd {

enum class Access { read, write };

/// Asks for as many cache lines as `count` values fill, from that of `from` on, which are needed soon; harmless wherever it
/// points.
///
/// What a tile of a product needs from memory is a few lines of many rows, each row on a page of its own: the machine
/// foresees the middle of a row but not its beginning, and a row that is one line long not at all.
template <Access access = Access::read, class T>
[[gnu::always_inline]] inline void prefetch(const T* from, Index count) noexcept {
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  for (Index i = 0; i < count; i += line) __builtin_prefetch(from + i, access == Access::write);
}

}  // namespace embedpool::simd
