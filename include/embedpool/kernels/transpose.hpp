#pragma once
#include <algorithm>

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

#ifdef __AVX512F__
/// out[j * stride + i] = in[i][j] for sixteen rows and columns, each row loaded once.
inline void transpose_16_by_16(const float* in, Index in_stride, float* out, Index stride) noexcept {
  __m512 quarter[16];  // [4 g + c]: quarter l holds column 4 l + c of rows 4 g .. 4 g + 3
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    const float* rows = in + 4 * g * in_stride;
    const __m512 a = _mm512_loadu_ps(rows), b = _mm512_loadu_ps(rows + in_stride);
    const __m512 c = _mm512_loadu_ps(rows + 2 * in_stride), d = _mm512_loadu_ps(rows + 3 * in_stride);
    const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
    const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d)), cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
    quarter[4 * g] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
    quarter[4 * g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
    quarter[4 * g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high));
    quarter[4 * g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {  // exchanges quarters between the four groups of rows
    const __m512 low = _mm512_shuffle_f32x4(quarter[c], quarter[4 + c], 0x44);
    const __m512 high = _mm512_shuffle_f32x4(quarter[c], quarter[4 + c], 0xee);
    const __m512 low_next = _mm512_shuffle_f32x4(quarter[8 + c], quarter[12 + c], 0x44);
    const __m512 high_next = _mm512_shuffle_f32x4(quarter[8 + c], quarter[12 + c], 0xee);
    _mm512_storeu_ps(out + c * stride, _mm512_shuffle_f32x4(low, low_next, 0x88));
    _mm512_storeu_ps(out + (4 + c) * stride, _mm512_shuffle_f32x4(low, low_next, 0xdd));
    _mm512_storeu_ps(out + (8 + c) * stride, _mm512_shuffle_f32x4(high, high_next, 0x88));
    _mm512_storeu_ps(out + (12 + c) * stride, _mm512_shuffle_f32x4(high, high_next, 0xdd));
  }
}
#endif

/// out[j * stride + i] = in[i][j] for all rows of `in`, a multiple of `lanes`, and any number of columns.
///
/// Goes through `lanes` rows at a time, a cache line's width in each step: rows a power of two apart would evict each
/// other if more were open. Where a register fills a line of `out`, for a long run of columns, else until the line is
/// full.
///
/// Shapes  in [m, n]; out n groups of m values, `stride` apart
template <Real S>
void transpose(Rows<const S> in, S* out, Index stride) noexcept {
  constexpr Index n = 16 / sizeof(S), line = 64 / sizeof(S), run = lanes<S> == line ? 256 : line;
  const Index whole = in.cols / n * n;
  for (Index begin = 0; begin < whole; begin += run)
    for (Index first = 0; first < in.rows; first += lanes<S>) {
      const S* rows = in.row_data(first);
      const Index end = std::min(begin + run, whole);
      for (Index j = begin; j < end; j += line) {
        if constexpr (lanes<S> == line)  // more rows than the machine follows by itself
          for (Index i = 0; i < lanes<S>; ++i) __builtin_prefetch(rows + i * in.stride + j + 8 * line);
#ifdef __AVX512F__
        if constexpr (std::is_same_v<S, float> && lanes<S> == 16)
          if (j + line <= end) {
            transpose_16_by_16(rows + j, in.stride, out + j * stride + first, stride);
            continue;
          }
#endif
        for (Index c = j; c < std::min(j + line, end); c += n)
          transpose_block(rows + c, in.stride, out + c * stride + first, stride);
      }
    }
  for (Index j = whole; j < in.cols; ++j)
    for (Index i = 0; i < in.rows; ++i) out[j * stride + i] = in(i, j);
}

/// out = in^T for any number of rows and columns.
///
/// Shapes  in [n, m], out [m, n]
template <Real S>
void transpose_rows(Rows<const S> in, Rows<S> out) noexcept {
  const Index whole = in.rows / lanes<S> * lanes<S>;
  transpose(in.middle_rows(0, whole), out.data, out.stride);
  for (Index j = 0; j < in.cols; ++j)
    for (Index i = whole; i < in.rows; ++i) out(j, i) = in(i, j);
}

}  // namespace embedpool::simd
