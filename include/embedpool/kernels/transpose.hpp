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

/// out[j * stride + i] = in[i][j] for `lanes` rows and as many columns as a short register holds values.
///
/// Wide registers are loaded with a row in each quarter, so that the interleaving inside quarters gives whole columns.
template <Real S>
[[gnu::always_inline]] inline void transpose_block(const S* in, Index in_stride, S* out, Index stride) noexcept {
  constexpr Index n = 16 / sizeof(S);
#ifdef __AVX2__
  if constexpr (std::is_same_v<S, float>) {
    const auto row = [&](Index i) { return _mm_loadu_ps(in + i * in_stride); };
#ifdef __AVX512F__
    using Register = __m512;
    const auto rows = [&](Index i) {
      const __m512 half = _mm512_insertf32x4(_mm512_castps128_ps512(row(i)), row(i + 4), 1);
      return _mm512_insertf32x4(_mm512_insertf32x4(half, row(i + 8), 2), row(i + 12), 3);
    };
    const auto low = [](Register a, Register b) { return _mm512_unpacklo_ps(a, b); };
    const auto high = [](Register a, Register b) { return _mm512_unpackhi_ps(a, b); };
    const auto store = [&](Index j, Register a) { _mm512_storeu_ps(out + j * stride, a); };
#else
    using Register = __m256;
    const auto rows = [&](Index i) { return _mm256_insertf128_ps(_mm256_castps128_ps256(row(i)), row(i + 4), 1); };
    const auto low = [](Register a, Register b) { return _mm256_unpacklo_ps(a, b); };
    const auto high = [](Register a, Register b) { return _mm256_unpackhi_ps(a, b); };
    const auto store = [&](Index j, Register a) { _mm256_storeu_ps(out + j * stride, a); };
#endif
    const Register a = rows(0), b = rows(1), c = rows(2), d = rows(3);
    const Register ac = low(a, c), bd = low(b, d), ac_high = high(a, c), bd_high = high(b, d);
    store(0, low(ac, bd));
    store(1, high(ac, bd));
    store(2, low(ac_high, bd_high));
    store(3, high(ac_high, bd_high));
    return;
  }
#endif
  for (Index first = 0; first < lanes<S>; first += n) {
    ShortVector<S> square[static_cast<std::size_t>(n)];
    for (Index i = 0; i < n; ++i) square[i] = ShortVector<S>::load_unaligned(in + (first + i) * in_stride);
    transpose_square<S>(square);
    for (Index i = 0; i < n; ++i) square[i].store_unaligned(out + i * stride + first);
  }
}

/// out[j * stride + i] = in[i][j] for all rows of `in`, a multiple of `lanes`, and any number of columns. Columns are the outer loop, so that whole lines of `out` are written at once.
///
/// Shapes  in [m, n]; out n groups of m values, `stride` apart
template <Real S>
void transpose(Rows<const S> in, S* out, Index stride) noexcept {
  constexpr Index n = 16 / sizeof(S);
  Index j = 0;
  for (; j + n <= in.cols; j += n)
    for (Index first = 0; first < in.rows; first += lanes<S>)
      transpose_block(in.row_data(first) + j, in.stride, out + j * stride + first, stride);
  for (; j < in.cols; ++j)
    for (Index i = 0; i < in.rows; ++i) out[j * stride + i] = in(i, j);
}

}  // namespace embedpool::simd
