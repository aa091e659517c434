#pragma once
#include <algorithm>

#include "embedpool/kernels/formats/simple_blocks.hpp"
#include "embedpool/kernels/simd.hpp"
#include "embedpool/kernels/weight.hpp"

#ifdef __AVX2__

namespace embedpool::simd {

/// The formats of blocks of 32 values in 4 bits that pack_nibbles reads.
constexpr bool is_nibbles(Format format) noexcept { return format == Format::Q4_0 || format == Format::Q4_1; }

/// A register of 32-bit words, one for each of lanes<float> rows.
struct Words {
#ifdef __AVX512F__
  __m512i value;
#else
  __m256i value;
#endif
};

/// words[j] = bytes [4 j, 4 j + 4) at `offset` of every row: four rows to a 128-bit lane, transposed within the lanes.
[[gnu::always_inline]] inline void load_words(const std::byte* const (&rows)[lanes<float>], Index offset,
                                              Words (&words)[4]) noexcept {
  const auto at = [&](Index row) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[row] + offset)); };
#ifdef __AVX512F__
  __m512i r[4];
  for (Index i = 0; i < 4; ++i) {
    r[i] = _mm512_inserti32x4(_mm512_castsi128_si512(at(i)), at(i + 4), 1);
    r[i] = _mm512_inserti32x4(_mm512_inserti32x4(r[i], at(i + 8), 2), at(i + 12), 3);
  }
  const __m512i low01 = _mm512_unpacklo_epi32(r[0], r[1]), low23 = _mm512_unpacklo_epi32(r[2], r[3]);
  const __m512i high01 = _mm512_unpackhi_epi32(r[0], r[1]), high23 = _mm512_unpackhi_epi32(r[2], r[3]);
  words[0].value = _mm512_unpacklo_epi64(low01, low23);
  words[1].value = _mm512_unpackhi_epi64(low01, low23);
  words[2].value = _mm512_unpacklo_epi64(high01, high23);
  words[3].value = _mm512_unpackhi_epi64(high01, high23);
#else
  __m256i r[4];
  for (Index i = 0; i < 4; ++i) r[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(at(i)), at(i + 4), 1);
  const __m256i low01 = _mm256_unpacklo_epi32(r[0], r[1]), low23 = _mm256_unpacklo_epi32(r[2], r[3]);
  const __m256i high01 = _mm256_unpackhi_epi32(r[0], r[1]), high23 = _mm256_unpackhi_epi32(r[2], r[3]);
  words[0].value = _mm256_unpacklo_epi64(low01, low23);
  words[1].value = _mm256_unpackhi_epi64(low01, low23);
  words[2].value = _mm256_unpacklo_epi64(high01, high23);
  words[3].value = _mm256_unpackhi_epi64(high01, high23);
#endif
}

/// The f16 in the low half of every word.
[[gnu::always_inline]] inline Vector<float> low_halves(Words words) noexcept {
#ifdef __AVX512F__
  return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words.value));
#else
  const __m256i low = _mm256_and_si256(words.value, _mm256_set1_epi32(0xffff));
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
  return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
#endif
}

/// The four bits from bit `shift` on of every word, as reals.
template <int shift>
[[gnu::always_inline]] inline Vector<float> nibbles(Words words) noexcept {
#ifdef __AVX512F__
  // A permutation looks at the lowest four bits of its indices alone.
  const __m512 reals = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_permutexvar_ps(_mm512_srli_epi32(words.value, shift), reals);
#else
  return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(words.value, shift), _mm256_set1_epi32(15)));
#endif
}

/// Decodes `depth` values of lanes<float> rows of W, from row `first` on, k-major: out[k * stride + i] = value k of row
/// first + i; rows beyond the last give zeros. A register holds the same four bytes of all rows, so that a value of all
/// rows is a shift away and nothing has to be transposed byte by byte.
///
/// `place` is where value 0 lies in a row, in bytes. scale * q is exact in a float, so the value is the definition's to
/// the bit whether the sum is fused or not (Q4_0: q d - 8 d is exact too).
///
/// Requires  is_nibbles(w.format); depth is a multiple of 32; out + k * stride is aligned for a register
inline void pack_nibbles(const WeightView& w, Index first, Index place, Index depth, float* out,
                         Index stride) noexcept {
  const Index block_bytes = info(w.format).block_bytes;
  const bool has_minimum = w.format == Format::Q4_1;
  const std::byte* rows[lanes<float>];
  alignas(64) float exists[lanes<float>];
  for (Index i = 0; i < lanes<float>; ++i) {
    exists[i] = first + i < w.rows ? 1.0f : 0.0f;
    rows[i] = w.row(std::min(first + i, w.rows - 1));
  }
  const auto mask = Vector<float>::load_aligned(exists);
  // The next rows are asked for while these are decoded: sixteen short streams are too many for the machine to foresee,
  // and without that a product of few rows waits for memory for half of its time.
  const std::byte* ahead = rows[0] + lanes<float> * w.row_bytes();
  const Index blocks = depth / 32, step = (lanes<float> * w.row_bytes() / blocks + 63) / 64 * 64;
  for (Index block = 0; block < blocks; ++block, place += block_bytes) {
    for (Index byte = 0; byte < step; byte += 64) __builtin_prefetch(ahead + byte);
    ahead += step;
    Words head[4], q[4];
    load_words(rows, place, head);
    load_words(rows, place + (has_minimum ? 4 : 2), q);
    const Vector<float> scale = low_halves(head[0]) * mask;
    Words high{};
#ifdef __AVX512F__
    high.value = _mm512_srli_epi32(head[0].value, 16);
#else
    high.value = _mm256_srli_epi32(head[0].value, 16);
#endif
    const Vector<float> offset = has_minimum ? low_halves(high) * mask : scale * Vector<float>(-8.0f);
    const auto store = [&](const Vector<float>& value) {
      fma<float>(value, scale, offset).store_aligned(out);
      out += stride;
    };
    for (int half = 0; half < 2; ++half)  // the low nibbles are the first sixteen values, the high ones the rest
      for (int j = 0; j < 4; ++j) {
        Words now = q[j];
#ifdef __AVX512F__
        if (half == 1) now.value = _mm512_srli_epi32(now.value, 4);
#else
        if (half == 1) now.value = _mm256_srli_epi32(now.value, 4);
#endif
        store(nibbles<0>(now));
        store(nibbles<8>(now));
        store(nibbles<16>(now));
        store(nibbles<24>(now));
      }
  }
}

}  // namespace embedpool::simd
#endif
