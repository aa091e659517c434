#pragma once
#include "embedpool/core/rows.hpp"
#include "embedpool/kernels/simd.hpp"

namespace embedpool::simd {

/// A 16-byte register: 4 floats or 2 doubles. Interleaving two of these means the same in every version of xsimd, while
/// wider registers are interleaved half by half in some.
template <Real S>
using ShortVector = typename xsimd::make_sized_batch<S, 16 / sizeof(S)>::type;

/// Transposes a square of values held in short registers: after it, rows[i][j] is what rows[j][i] was.
///
/// Each round interleaves row i with row i + n/2, which rotates the bits of the pair (row, column) by one; log2(n)
/// rounds exchange them.
template <Real S>
[[gnu::always_inline]] inline void transpose_square(ShortVector<S> (&rows)[16 / sizeof(S)]) noexcept {
  constexpr std::size_t n = 16 / sizeof(S);
  for (std::size_t round = 1; round < n; round *= 2) {
    ShortVector<S> mixed[n];
    for (std::size_t i = 0; i < n / 2; ++i) {
      mixed[2 * i] = xsimd::zip_lo(rows[i], rows[i + n / 2]);
      mixed[2 * i + 1] = xsimd::zip_hi(rows[i], rows[i + n / 2]);
    }
    for (std::size_t i = 0; i < n; ++i) rows[i] = mixed[i];
  }
}

/// out[j * stride + i] = in[i][j] for `lanes` rows of `in` and any number of columns.
///
/// Shapes  in [lanes, n]; out n groups of lanes values, `stride` apart
template <Real S>
void transpose_strip(Rows<const S> in, S* out, Index stride) noexcept {
  constexpr Index n = 16 / sizeof(S);
  static_assert(lanes<S> % n == 0);
  Index j = 0;
  for (; j + n <= in.cols; j += n)
    for (Index first = 0; first < lanes<S>; first += n) {
      ShortVector<S> square[static_cast<std::size_t>(n)];
      for (Index i = 0; i < n; ++i) square[i] = ShortVector<S>::load_unaligned(in.row_data(first + i) + j);
      transpose_square<S>(square);
      for (Index i = 0; i < n; ++i) square[i].store_unaligned(out + (j + i) * stride + first);
    }
  for (; j < in.cols; ++j)
    for (Index i = 0; i < lanes<S>; ++i) out[j * stride + i] = in(i, j);
}

}  // namespace embedpool::simd
