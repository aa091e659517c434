#pragma once
#include <cstring>

#include "embedpool/core/half.hpp"
#include "embedpool/kernels/weight.hpp"

#if defined(__F16C__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace embedpool::formats {

/// An unaligned value of a block. Blocks lie in files at any address.
template <class T>
T load(const std::byte* p) noexcept {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}
inline float load_half(const std::byte* p) noexcept {
#ifdef __F16C__
  return _cvtsh_ss(load<std::uint16_t>(p));  // the same value in one instruction
#else
  return to_float(f16{load<std::uint16_t>(p)});
#endif
}
inline int load_byte(const std::byte* p) noexcept { return std::to_integer<int>(*p); }

/// The bytes of a block in an array of their own: the compiler then knows that what is written cannot change them, and
/// decodes a register at a time.
template <std::size_t N>
struct Bytes {
  std::uint8_t at[N];
  explicit Bytes(const std::byte* p) noexcept { std::memcpy(at, p, N); }
};

/// w = scale q + offset for the 16 low and then the 16 high nibbles of 16 bytes. The product is exact, so it does not
/// matter whether it is rounded before the sum.
inline void decode_nibbles(const std::byte* packed, float scale, float offset, float* out) noexcept {
#ifdef __AVX2__
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed)), mask = _mm_set1_epi8(15);
  const __m128i nibbles[2] = {_mm_and_si128(bytes, mask), _mm_and_si128(_mm_srli_epi16(bytes, 4), mask)};
  for (int half = 0; half < 2; ++half) {
#ifdef __AVX512F__
    const __m512 q = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(nibbles[half]));
    _mm512_storeu_ps(out + 16 * half, _mm512_fmadd_ps(q, _mm512_set1_ps(scale), _mm512_set1_ps(offset)));
#else
    const __m256 low = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(nibbles[half]));
    const __m256 high = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(nibbles[half], 8)));
    const __m256 d = _mm256_set1_ps(scale), m = _mm256_set1_ps(offset);
    _mm256_storeu_ps(out + 16 * half, _mm256_add_ps(_mm256_mul_ps(low, d), m));
    _mm256_storeu_ps(out + 16 * half + 8, _mm256_add_ps(_mm256_mul_ps(high, d), m));
#endif
  }
#else
  const Bytes<16> q(packed);
  for (int j = 0; j < 16; ++j) out[j] = static_cast<float>(q.at[j] & 15) * scale + offset;
  for (int j = 0; j < 16; ++j) out[j + 16] = static_cast<float>(q.at[j] >> 4) * scale + offset;
#endif
}

/// Decodes one block of the 32-value formats of ggml. In all 4- and 5-bit ones byte j holds value j in its low and
/// value j + 16 in its high nibble.
///
///   Q4_0  w = d (q - 8)        Q4_1  w = d q + m
///   Q5_0  w = d (q - 16)       Q5_1  w = d q + m        the fifth bits in 4 bytes of their own
///   Q8_0  w = d q
///
/// Source  the block layouts of ggml-common.h in ggml-org/ggml
inline void decode_q4_0(const std::byte* block, float* out) noexcept {
  const float d = load_half(block);
  decode_nibbles(block + 2, d, -8.0f * d, out);  // d has 11 bits and q 4, so d q - 8 d is d (q - 8) exactly
}
inline void decode_q4_1(const std::byte* block, float* out) noexcept {
  decode_nibbles(block + 4, load_half(block), load_half(block + 2), out);
}
inline void decode_q5_0(const std::byte* block, float* out) noexcept {
  const float d = load_half(block);
  const auto high = load<std::uint32_t>(block + 2);
  const Bytes<16> q(block + 6);
  for (int j = 0; j < 16; ++j) out[j] = static_cast<float>(((q.at[j] & 15) | int((high >> j) & 1u) << 4) - 16) * d;
  for (int j = 0; j < 16; ++j)
    out[j + 16] = static_cast<float>(((q.at[j] >> 4) | int((high >> (j + 16)) & 1u) << 4) - 16) * d;
}
inline void decode_q5_1(const std::byte* block, float* out) noexcept {
  const float d = load_half(block), m = load_half(block + 2);
  const auto high = load<std::uint32_t>(block + 4);
  const Bytes<16> q(block + 8);
  for (int j = 0; j < 16; ++j) out[j] = static_cast<float>((q.at[j] & 15) | int((high >> j) & 1u) << 4) * d + m;
  for (int j = 0; j < 16; ++j)
    out[j + 16] = static_cast<float>((q.at[j] >> 4) | int((high >> (j + 16)) & 1u) << 4) * d + m;
}
inline void decode_q8_0(const std::byte* block, float* out) noexcept {
  const float d = load_half(block);
  const Bytes<32> q(block + 2);
  for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(static_cast<std::int8_t>(q.at[j])) * d;
}

}  // namespace embedpool::formats
