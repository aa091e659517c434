#pragma once
#include "embedpool/kernels/formats/unpack.hpp"

#ifdef __AVX2__

namespace embedpool::simd {

/// Rows of W that become columns of a panel together.
inline constexpr Index strip_rows = 16;

/// Transposes sixteen registers of sixteen bytes: four rounds, each of which rotates the bits of (row, column) by one.
[[gnu::always_inline]] inline void transpose_bytes(__m128i (&rows)[16]) noexcept {
  for (int round = 0; round < 4; ++round) {
    __m128i mixed[16];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      mixed[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
      mixed[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) rows[i] = mixed[i];
  }
}

/// out[i] = scale[i] q[i] + offset[i] for the first `count` (8 or 16) of sixteen signed bytes.
[[gnu::always_inline]] inline void store_scaled(__m128i q, const float* scale, const float* offset, float* out,
                                                Index count) noexcept {
#ifdef __AVX512F__
  const __m512 values = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
  const __m512 result = _mm512_fmadd_ps(values, _mm512_load_ps(scale), _mm512_load_ps(offset));
  if (count == strip_rows)
    _mm512_storeu_ps(out, result);
  else
    _mm256_storeu_ps(out, _mm512_castps512_ps256(result));
#else
  const __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
  const __m256 high = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8)));
  _mm256_storeu_ps(out, _mm256_add_ps(_mm256_mul_ps(low, _mm256_load_ps(scale)), _mm256_load_ps(offset)));
  if (count < strip_rows) return;
  _mm256_storeu_ps(out + 8, _mm256_add_ps(_mm256_mul_ps(high, _mm256_load_ps(scale + 8)), _mm256_load_ps(offset + 8)));
#endif
}

/// Decodes `depth` values of each of sixteen rows k-major: out[k * stride + i] = value k of row i, for the first
/// `count` rows. The integers are transposed as bytes, sixteen to a register, and become floats on their way out.
///
/// Requires  formats::has_unpack(format); rows[i] points at the block that holds value 0, or is null for a row
///           of zeros; depth is a multiple of the block; count is 8 or 16
inline void pack_blocks(Format format, const std::byte* const (&rows)[strip_rows], Index depth, float* out,
                        Index stride, Index count) noexcept {
  const FormatInfo layout = info(format);
  for (Index block = 0; block < depth / layout.block_values; ++block)
    for (int sub = 0; sub < layout.block_values / 32; ++sub) {
      __m128i q[2][strip_rows];
      alignas(64) float scale[2][strip_rows], offset[2][strip_rows];
      for (Index i = 0; i < strip_rows; ++i) {
        formats::UnpackedValues values{{_mm_setzero_si128(), _mm_setzero_si128()}, {0, 0}, {0, 0}};
        if (rows[i] != nullptr) values = formats::unpack(format, rows[i] + block * layout.block_bytes, sub);
        for (int part = 0; part < 2; ++part) {
          q[part][i] = values.q[part];
          scale[part][i] = values.scale[part];
          offset[part][i] = values.offset[part];
        }
      }
      for (int part = 0; part < 2; ++part) {
        transpose_bytes(q[part]);
        for (int k = 0; k < 16; ++k, out += stride) store_scaled(q[part][k], scale[part], offset[part], out, count);
      }
    }
}

}  // namespace embedpool::simd
#endif
