#pragma once
#include "embedpool/kernels/formats/iq4.hpp"
#include "embedpool/kernels/formats/k_quants.hpp"

#ifdef __AVX2__
#include <immintrin.h>

namespace embedpool::formats {

/// 32 consecutive values of a quantised row before they become reals: w = scale[i / 16] q[i] + offset[i / 16].
///
/// Every block format of ggml has this shape with integers of at most 8 bits. d has 11 significant bits, a sub-block's
/// scale at most 7 and q at most 6 beside it (8 where there is no such scale), so scale * q is exact in a float, and
/// the value is the definition's to the bit whether the sum is fused or not.
struct UnpackedValues {
  __m128i q[2];  ///< signed bytes
  float scale[2];
  float offset[2];
};

inline __m128i load_16_bytes(const std::byte* p) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
/// (bytes >> shift) & mask, byte by byte, for masks that leave no bit of a neighbour.
inline __m128i shifted_bits(__m128i bytes, int shift, int mask) noexcept {
  return _mm_and_si128(_mm_srl_epi16(bytes, _mm_cvtsi32_si128(shift)), _mm_set1_epi8(static_cast<char>(mask)));
}
/// Byte i is `value` where bit i of the sixteen is set, else 0.
inline __m128i bytes_of_bits(unsigned bits, int value) noexcept {
  const __m128i spread = _mm_shuffle_epi8(_mm_cvtsi32_si128(static_cast<int>(bits)),
                                          _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
  const __m128i place = _mm_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
  return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(spread, place), place), _mm_set1_epi8(static_cast<char>(value)));
}
inline __m128i minus(__m128i bytes, int value) noexcept {
  return _mm_sub_epi8(bytes, _mm_set1_epi8(static_cast<char>(value)));
}

/// Takes values [32 sub, 32 sub + 32) out of a block of format F.
template <Format F>
UnpackedValues unpack(const std::byte* block, [[maybe_unused]] int sub) noexcept;

template <>
inline UnpackedValues unpack<Format::Q4_0>(const std::byte* block, int) noexcept {
  const float d = load_half(block);
  const __m128i bytes = load_16_bytes(block + 2);
  return {{minus(shifted_bits(bytes, 0, 15), 8), minus(shifted_bits(bytes, 4, 15), 8)}, {d, d}, {0, 0}};
}
template <>
inline UnpackedValues unpack<Format::Q4_1>(const std::byte* block, int) noexcept {
  const float d = load_half(block), m = load_half(block + 2);
  const __m128i bytes = load_16_bytes(block + 4);
  return {{shifted_bits(bytes, 0, 15), shifted_bits(bytes, 4, 15)}, {d, d}, {m, m}};
}
template <>
inline UnpackedValues unpack<Format::Q5_0>(const std::byte* block, int) noexcept {
  const float d = load_half(block);
  const auto high = load<std::uint32_t>(block + 2);
  const __m128i bytes = load_16_bytes(block + 6);
  return {{minus(_mm_or_si128(shifted_bits(bytes, 0, 15), bytes_of_bits(high & 0xffffu, 16)), 16),
           minus(_mm_or_si128(shifted_bits(bytes, 4, 15), bytes_of_bits(high >> 16, 16)), 16)},
          {d, d},
          {0, 0}};
}
template <>
inline UnpackedValues unpack<Format::Q5_1>(const std::byte* block, int) noexcept {
  const float d = load_half(block), m = load_half(block + 2);
  const auto high = load<std::uint32_t>(block + 4);
  const __m128i bytes = load_16_bytes(block + 8);
  return {{_mm_or_si128(shifted_bits(bytes, 0, 15), bytes_of_bits(high & 0xffffu, 16)),
           _mm_or_si128(shifted_bits(bytes, 4, 15), bytes_of_bits(high >> 16, 16))},
          {d, d},
          {m, m}};
}
template <>
inline UnpackedValues unpack<Format::Q8_0>(const std::byte* block, int) noexcept {
  const float d = load_half(block);
  return {{load_16_bytes(block + 2), load_16_bytes(block + 18)}, {d, d}, {0, 0}};
}
template <>
inline UnpackedValues unpack<Format::Q2_K>(const std::byte* block, int sub) noexcept {
  const float d = load_half(block + 80), dmin = load_half(block + 82);
  const std::byte* q = block + 16 + 32 * (sub / 4);
  UnpackedValues values;
  for (int part = 0; part < 2; ++part) {
    const int s = load_byte(block + 2 * sub + part);
    values.q[part] = shifted_bits(load_16_bytes(q + 16 * part), 2 * (sub % 4), 3);
    values.scale[part] = d * static_cast<float>(s & 15);
    values.offset[part] = -(dmin * static_cast<float>(s >> 4));
  }
  return values;
}
template <>
inline UnpackedValues unpack<Format::Q3_K>(const std::byte* block, int sub) noexcept {
  const float d = load_half(block + 108);
  const std::byte* q = block + 32 + 32 * (sub / 4);
  UnpackedValues values;
  for (int part = 0; part < 2; ++part) {
    const __m128i low = shifted_bits(load_16_bytes(q + 16 * part), 2 * (sub % 4), 3);
    const __m128i high = shifted_bits(load_16_bytes(block + 16 * part), sub, 1);
    values.q[part] = minus(_mm_add_epi8(low, _mm_slli_epi16(high, 2)), 4);
    values.scale[part] = d * static_cast<float>(q3_k_scale(2 * sub + part, block + 96));
    values.offset[part] = 0;
  }
  return values;
}
template <>
inline UnpackedValues unpack<Format::Q4_K>(const std::byte* block, int sub) noexcept {
  const auto [s, m] = scale_minimum_of(sub, block + 4);
  const float scale = load_half(block) * static_cast<float>(s),
              offset = -(load_half(block + 2) * static_cast<float>(m));
  const std::byte* q = block + 16 + 32 * (sub / 2);
  const int shift = 4 * (sub % 2);
  return {{shifted_bits(load_16_bytes(q), shift, 15), shifted_bits(load_16_bytes(q + 16), shift, 15)},
          {scale, scale},
          {offset, offset}};
}
template <>
inline UnpackedValues unpack<Format::Q5_K>(const std::byte* block, int sub) noexcept {
  UnpackedValues values;
  const auto [s, m] = scale_minimum_of(sub, block + 4);
  const float scale = load_half(block) * static_cast<float>(s),
              offset = -(load_half(block + 2) * static_cast<float>(m));
  for (int part = 0; part < 2; ++part) {
    const __m128i low = shifted_bits(load_16_bytes(block + 48 + 32 * (sub / 2) + 16 * part), 4 * (sub % 2), 15);
    const __m128i high = shifted_bits(load_16_bytes(block + 16 + 16 * part), sub, 1);
    values.q[part] = _mm_or_si128(low, _mm_slli_epi16(high, 4));
    values.scale[part] = scale;
    values.offset[part] = offset;
  }
  return values;
}
template <>
inline UnpackedValues unpack<Format::Q6_K>(const std::byte* block, int sub) noexcept {
  const float d = load_half(block + 208);
  const int half = sub / 4, part = sub % 4;
  UnpackedValues values;
  for (int i = 0; i < 2; ++i) {
    const __m128i low = shifted_bits(load_16_bytes(block + 64 * half + 32 * (part % 2) + 16 * i), 4 * (part / 2), 15);
    const __m128i high = shifted_bits(load_16_bytes(block + 128 + 32 * half + 16 * i), 2 * part, 3);
    values.q[i] = minus(_mm_or_si128(low, _mm_slli_epi16(high, 4)), 32);
    values.scale[i] = d * static_cast<float>(load<std::int8_t>(block + 192 + 2 * sub + i));
    values.offset[i] = 0;
  }
  return values;
}
/// Sixteen nibbles as the signed bytes of iq4_values.
inline __m128i iq4_bytes(__m128i nibbles) noexcept {
  return _mm_shuffle_epi8(_mm_setr_epi8(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113),
                          nibbles);
}
template <>
inline UnpackedValues unpack<Format::IQ4_NL>(const std::byte* block, int) noexcept {
  const float d = load_half(block);
  const __m128i bytes = load_16_bytes(block + 2);
  return {{iq4_bytes(shifted_bits(bytes, 0, 15)), iq4_bytes(shifted_bits(bytes, 4, 15))}, {d, d}, {0, 0}};
}
template <>
inline UnpackedValues unpack<Format::IQ4_XS>(const std::byte* block, int sub) noexcept {
  const float scale = load_half(block) * static_cast<float>(iq4_xs_scale(sub, block));
  const __m128i bytes = load_16_bytes(block + 8 + 16 * sub);
  return {{iq4_bytes(shifted_bits(bytes, 0, 15)), iq4_bytes(shifted_bits(bytes, 4, 15))}, {scale, scale}, {0, 0}};
}

/// Whether a format is one of 32-value groups as above.
constexpr bool has_unpack(Format format) noexcept { return info(format).block_values >= 32; }

/// As above for a format known at run time. Requires has_unpack(format).
inline UnpackedValues unpack(Format format, const std::byte* block, int sub) noexcept {
  switch (format) {
    case Format::Q4_0: return unpack<Format::Q4_0>(block, sub);
    case Format::Q4_1: return unpack<Format::Q4_1>(block, sub);
    case Format::Q5_0: return unpack<Format::Q5_0>(block, sub);
    case Format::Q5_1: return unpack<Format::Q5_1>(block, sub);
    case Format::Q8_0: return unpack<Format::Q8_0>(block, sub);
    case Format::Q2_K: return unpack<Format::Q2_K>(block, sub);
    case Format::Q3_K: return unpack<Format::Q3_K>(block, sub);
    case Format::Q4_K: return unpack<Format::Q4_K>(block, sub);
    case Format::Q5_K: return unpack<Format::Q5_K>(block, sub);
    case Format::Q6_K: return unpack<Format::Q6_K>(block, sub);
    case Format::IQ4_NL: return unpack<Format::IQ4_NL>(block, sub);
    default: return unpack<Format::IQ4_XS>(block, sub);
  }
}

}  // namespace embedpool::formats
#endif
