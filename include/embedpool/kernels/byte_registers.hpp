#pragma once
#include <cstdint>

#include "embedpool/kernels/formats/unpack.hpp"
#include "embedpool/kernels/gemm_tile.hpp"

/// Defined where a register of the compiled-for machine holds four bytes for each float of simd::Vector<float>, and
/// there are instructions that multiply bytes.
#if defined(__AVX512BW__) || (defined(__AVX2__) && !defined(__AVX512F__))
#define EMBEDPOOL_BYTE_REGISTERS 1
#endif

namespace embedpool::simd {

/// Whether one instruction sums four products of bytes in 32 bits. Without it products are summed in 16 bits, which
/// holds those of 4-bit weights over a block, of 5-bit weights over half a block, and 8-bit weights are two planes of
/// four bits each.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
inline constexpr bool has_byte_dots = true;
#else
inline constexpr bool has_byte_dots = false;
#endif

#ifdef EMBEDPOOL_BYTE_REGISTERS

#ifdef __AVX512BW__
using Bytes = __m512i;
inline Bytes load_bytes(const void* p) noexcept { return _mm512_load_si512(p); }
inline void store_bytes(void* p, Bytes x) noexcept { _mm512_store_si512(p, x); }
inline Bytes every_word(int x) noexcept { return _mm512_set1_epi32(x); }
inline Bytes every_byte(int x) noexcept { return _mm512_set1_epi8(static_cast<char>(x)); }
inline Bytes and_bits(Bytes a, Bytes b) noexcept { return _mm512_and_si512(a, b); }
inline Bytes add_each_byte(Bytes a, Bytes b) noexcept { return _mm512_add_epi8(a, b); }
inline Bytes high_nibbles(Bytes x) noexcept { return _mm512_and_si512(_mm512_srli_epi16(x, 4), _mm512_set1_epi8(15)); }
inline Bytes add_words(Bytes a, Bytes b) noexcept { return _mm512_add_epi32(a, b); }
inline Vector<float> to_floats(Bytes words) noexcept { return Vector<float>(_mm512_cvtepi32_ps(words)); }
inline Bytes zip_low_words(Bytes a, Bytes b) noexcept { return _mm512_unpacklo_epi32(a, b); }
inline Bytes zip_high_words(Bytes a, Bytes b) noexcept { return _mm512_unpackhi_epi32(a, b); }
inline Bytes zip_low_pairs(Bytes a, Bytes b) noexcept { return _mm512_unpacklo_epi64(a, b); }
inline Bytes zip_high_pairs(Bytes a, Bytes b) noexcept { return _mm512_unpackhi_epi64(a, b); }
/// Every quarter of the register from a row of its own: row(i), row(i + 4), ...
template <class Row>
[[gnu::always_inline]] inline Bytes quarters(const Row& row, int i) noexcept {
  const Bytes half = _mm512_inserti32x4(_mm512_castsi128_si512(row(i)), row(i + 4), 1);
  return _mm512_inserti32x4(_mm512_inserti32x4(half, row(i + 8), 2), row(i + 12), 3);
}
#else
using Bytes = __m256i;
inline Bytes load_bytes(const void* p) noexcept { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
inline void store_bytes(void* p, Bytes x) noexcept { _mm256_store_si256(static_cast<__m256i*>(p), x); }
inline Bytes every_word(int x) noexcept { return _mm256_set1_epi32(x); }
inline Bytes every_byte(int x) noexcept { return _mm256_set1_epi8(static_cast<char>(x)); }
inline Bytes and_bits(Bytes a, Bytes b) noexcept { return _mm256_and_si256(a, b); }
inline Bytes add_each_byte(Bytes a, Bytes b) noexcept { return _mm256_add_epi8(a, b); }
inline Bytes high_nibbles(Bytes x) noexcept { return _mm256_and_si256(_mm256_srli_epi16(x, 4), _mm256_set1_epi8(15)); }
inline Bytes add_words(Bytes a, Bytes b) noexcept { return _mm256_add_epi32(a, b); }
inline Vector<float> to_floats(Bytes words) noexcept { return Vector<float>(_mm256_cvtepi32_ps(words)); }
inline Bytes zip_low_words(Bytes a, Bytes b) noexcept { return _mm256_unpacklo_epi32(a, b); }
inline Bytes zip_high_words(Bytes a, Bytes b) noexcept { return _mm256_unpackhi_epi32(a, b); }
inline Bytes zip_low_pairs(Bytes a, Bytes b) noexcept { return _mm256_unpacklo_epi64(a, b); }
inline Bytes zip_high_pairs(Bytes a, Bytes b) noexcept { return _mm256_unpackhi_epi64(a, b); }
template <class Row>
[[gnu::always_inline]] inline Bytes quarters(const Row& row, int i) noexcept {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(row(i)), row(i + 4), 1);
}
#endif

/// Four consecutive bytes, in every word of a register.
[[gnu::always_inline]] inline Bytes broadcast_word(const std::int8_t* p) noexcept {
  return every_word(formats::load<std::int32_t>(reinterpret_cast<const std::byte*>(p)));
}

/// sums[i] += the products of four unsigned and four signed bytes, in 32 bits (has_byte_dots); or of two pairs, in 16
/// bits each.
[[gnu::always_inline]] inline Bytes add_products(Bytes sums, Bytes unsigned_bytes, Bytes signed_bytes) noexcept {
#if defined(__AVX512VNNI__)
  return _mm512_dpbusd_epi32(sums, unsigned_bytes, signed_bytes);
#elif defined(__AVXVNNI__)
  return _mm256_dpbusd_avx_epi32(sums, unsigned_bytes, signed_bytes);
#else
  // GCC would reorder the sums of several steps into a tree, and lack registers for all its leaves: the empty statement
  // makes each sum a value that it knows nothing of.
#ifdef __AVX512BW__
  sums = _mm512_add_epi16(sums, _mm512_maddubs_epi16(unsigned_bytes, signed_bytes));
  asm("" : "+v"(sums));
#else
  sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(unsigned_bytes, signed_bytes));
  asm("" : "+x"(sums));
#endif
  return sums;
#endif
}
/// The 32-bit sums that add_products has made, times `factor` (a 16-bit number) where they are still in 16 bits.
[[gnu::always_inline]] inline Bytes widen_sums(Bytes sums, [[maybe_unused]] int factor) noexcept {
  if constexpr (has_byte_dots) return sums;
#ifdef __AVX512BW__
  return _mm512_madd_epi16(sums, _mm512_set1_epi16(static_cast<short>(factor)));
#else
  return _mm256_madd_epi16(sums, _mm256_set1_epi16(static_cast<short>(factor)));
#endif
}

/// words[j] = word j of each of `lanes` rows of sixteen bytes, for j in 0..3.
template <class Row>
[[gnu::always_inline]] inline void transpose_words(const Row& row, Bytes (&words)[4]) noexcept {
  const Bytes a = quarters(row, 0), b = quarters(row, 1), c = quarters(row, 2), d = quarters(row, 3);
  const Bytes ab = zip_low_words(a, b), cd = zip_low_words(c, d);
  const Bytes ab_high = zip_high_words(a, b), cd_high = zip_high_words(c, d);
  words[0] = zip_low_pairs(ab, cd);
  words[1] = zip_high_pairs(ab, cd);
  words[2] = zip_low_pairs(ab_high, cd_high);
  words[3] = zip_high_pairs(ab_high, cd_high);
}

/// The half-precision numbers in the lower halves of the words.
inline Vector<float> low_halves(Bytes words) noexcept {
#ifdef __AVX512BW__
  return Vector<float>(_mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)));
#elif defined(__F16C__)
  const __m256i low = _mm256_and_si256(words, _mm256_set1_epi32(0xffff));
  const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  return Vector<float>(_mm256_cvtph_ps(halves));
#else
  alignas(32) std::uint32_t in[8];
  alignas(32) float out[8];
  store_bytes(in, words);
  for (int i = 0; i < 8; ++i) out[i] = to_float(f16{static_cast<std::uint16_t>(in[i] & 0xffffu)});
  return Vector<float>::load_aligned(out);
#endif
}
inline Bytes shift_down_half(Bytes words) noexcept {
#ifdef __AVX512BW__
  return _mm512_srli_epi32(words, 16);
#else
  return _mm256_srli_epi32(words, 16);
#endif
}

#endif

}  // namespace embedpool::simd
