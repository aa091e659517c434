#pragma once
#include <algorithm>

#include "embedpool/kernels/int8/quantized_rows.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace embedpool::simd {

/// The integers of a block of 32 k where no instruction multiplies bytes as needed: weights have 16 bits, and products
/// are summed in pairs.
///
///   dots[r][c] = sum over j of q[r][2 j] pairs[j][c][0] + q[r][2 j + 1] pairs[j][c][1]
///
/// Shapes  q R rows, `stride` apart; pairs [16][C][2], 16-byte aligned; dots R rows of C
template <int R, Index C>
[[gnu::always_inline]] inline void pair_dots(const std::int8_t* q, Index stride, const std::int16_t* pairs,
                                             std::int32_t (&dots)[R][C]) noexcept {
  constexpr Index count = int8::block_values / 2;
  alignas(16) std::int16_t x[R][2 * count];
  for (int r = 0; r < R; ++r)
    for (Index k = 0; k < 2 * count; ++k) x[r][k] = q[r * stride + k];
#ifdef __SSE2__
  constexpr int V = static_cast<int>(C / 4);
  __m128i sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = _mm_setzero_si128();
  for (Index j = 0; j < count; ++j) {
    __m128i w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) w[v] = _mm_load_si128(reinterpret_cast<const __m128i*>(pairs + (j * C + 4 * v) * 2));
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m128i both =
          _mm_set1_epi32(formats::load<std::int32_t>(reinterpret_cast<const std::byte*>(x[r] + 2 * j)));
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = _mm_add_epi32(sums[r][v], _mm_madd_epi16(w[v], both));
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) _mm_storeu_si128(reinterpret_cast<__m128i*>(dots[r] + 4 * v), sums[r][v]);
#else
  for (int r = 0; r < R; ++r) {
    std::int32_t sums[C] = {};
    for (Index j = 0; j < count; ++j)
      for (Index c = 0; c < C; ++c)
        sums[c] += std::int32_t(pairs[(j * C + c) * 2]) * x[r][2 * j] +
                   std::int32_t(pairs[(j * C + c) * 2 + 1]) * x[r][2 * j + 1];
    std::copy(sums, sums + C, dots[r]);
  }
#endif
}

}  // namespace embedpool::simd
