#pragma once
#include <cmath>
#include <limits>

#include "embedpool/core/executor.hpp"
#include "embedpool/core/rows.hpp"
#include "embedpool/kernels/bfloat16/pair.hpp"
#include "embedpool/kernels/norm.hpp"

namespace embedpool {

namespace scalar {

/// The definition: to nearest, ties to even; subnormal floats become 0, as the machine's own conversion makes them; NaN
/// stays NaN and what lies beyond the largest bfloat16 becomes infinity.
inline bf16 round_to_bf16(float x) noexcept {
  return to_bf16(std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x);
}

}  // namespace scalar

namespace simd {

/// out[p] = (x[2 p], x[2 p + 1]) rounded, a last single value paired with 0.
///
/// Shapes  out [(count + 1) / 2]
inline void round_row(const float* x, Index count, Bfloat16Pair* out) noexcept {
  Index k = 0;
#ifdef __AVX512BF16__
  for (; k + 32 <= count; k += 32)
    _mm512_storeu_si512(out + k / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + k + 16), _mm512_loadu_ps(x + k)));
#endif
  for (; k + 2 <= count; k += 2) out[k / 2] = {scalar::round_to_bf16(x[k]), scalar::round_to_bf16(x[k + 1])};
  if (k < count) out[k / 2] = {scalar::round_to_bf16(x[k]), bf16{0}};
}

/// out[i] = (even[i], odd[i]) rounded: a row of a panel out of two rows of floats.
///
/// Requires  count is a multiple of 16, or of `lanes` without AVX-512
inline void interleave_rounded(const float* even, const float* odd, Index count, Bfloat16Pair* out) noexcept {
#ifdef __AVX512BF16__
  alignas(64) static constexpr std::uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                          8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i interleave = _mm512_load_si512(order);
  for (Index i = 0; i < count; i += 16) {
    const auto both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(odd + i), _mm512_loadu_ps(even + i));
    _mm512_storeu_si512(out + i, _mm512_permutexvar_epi16(interleave, both));
  }
#else
  for (Index i = 0; i < count; ++i) out[i] = {scalar::round_to_bf16(even[i]), scalar::round_to_bf16(odd[i])};
#endif
}

}  // namespace simd

/// Every row rounded to pairs of bfloat16, as bfloat16_gemm_nt takes them: once for all products with the same rows.
///
/// Shapes  x [M, K], out [M, (K + 1) / 2]
template <Executor E>
void round_rows(Rows<const float> x, Rows<Bfloat16Pair> out, E& executor) {
  for_each_row(x.rows, executor, [&](Index i) { simd::round_row(x.row_data(i), x.cols, out.row_data(i)); });
}

}  // namespace embedpool
