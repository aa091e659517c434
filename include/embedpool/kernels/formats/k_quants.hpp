#pragma once
#include "embedpool/kernels/formats/simple_blocks.hpp"

namespace embedpool::formats {

/// Decodes one block of 256 values of ggml's K-quants: sub-blocks of 16 or 32 values have small integer scales of
/// their own, and the block has one (d) or two (d, dmin) half-precision factors for those.
///
///   Q2_K, Q4_K, Q5_K  w = d s q - dmin m        Q3_K, Q6_K  w = d s (q - half of the range)
///
/// Source  the block layouts of ggml-common.h in ggml-org/ggml
inline void decode_q2_k(const std::byte* block, float* out) noexcept {
  const std::byte *scales = block, *q = block + 16;
  const float d = load_half(block + 80), dmin = load_half(block + 82);
  for (int half = 0, sub = 0; half < 2; ++half, q += 32)
    for (int shift = 0; shift < 8; shift += 2)
      for (int part = 0; part < 2; ++part, ++sub) {
        const int s = load_byte(scales + sub);
        const float scale = d * static_cast<float>(s & 15), minimum = dmin * static_cast<float>(s >> 4);
        for (int l = 0; l < 16; ++l)
          *out++ = scale * static_cast<float>((load_byte(q + 16 * part + l) >> shift) & 3) - minimum;
      }
}

/// Scale j of the sixteen 6-bit scales of Q3_K: low nibbles in bytes 0..7, the upper two bits in bytes 8..11.
inline int q3_k_scale(int j, const std::byte* packed) noexcept {
  const int low = j < 8 ? load_byte(packed + j) & 15 : load_byte(packed + j - 8) >> 4;
  const int high = (load_byte(packed + 8 + j % 4) >> (2 * (j / 4))) & 3;
  return (low | high << 4) - 32;
}
inline void decode_q3_k(const std::byte* block, float* out) noexcept {
  const std::byte *high = block, *q = block + 32;
  const float d = load_half(block + 108);
  int bit = 0;
  int sub = 0;
  for (int half = 0; half < 2; ++half, q += 32)
    for (int shift = 0; shift < 8; shift += 2, ++bit)
      for (int part = 0; part < 2; ++part, ++sub) {
        const float scale = d * static_cast<float>(q3_k_scale(sub, block + 96));
        for (int l = 16 * part; l < 16 * part + 16; ++l)
          *out++ = scale *
                   static_cast<float>(((load_byte(q + l) >> shift) & 3) - ((load_byte(high + l) >> bit) & 1 ? 0 : 4));
      }
}

/// Scale and minimum of sub-block j of Q4_K and Q5_K, six bits each, packed into 12 bytes.
struct ScaleMinimum {
  int scale, minimum;
};
inline ScaleMinimum scale_minimum_of(int j, const std::byte* packed) noexcept {
  const auto at = [packed](int i) { return load_byte(packed + i); };
  if (j < 4) return {at(j) & 63, at(j + 4) & 63};
  return {(at(j + 4) & 15) | (at(j - 4) >> 6) << 4, (at(j + 4) >> 4) | (at(j) >> 6) << 4};
}
inline void decode_q4_k(const std::byte* block, float* out) noexcept {
  const float d = load_half(block), dmin = load_half(block + 2);
  const std::byte* q = block + 16;
  for (int sub = 0; sub < 8; ++sub) {
    const auto [s, m] = scale_minimum_of(sub, block + 4);
    const float scale = d * static_cast<float>(s), minimum = dmin * static_cast<float>(m);
    for (int l = 0; l < 32; ++l)
      *out++ = scale * static_cast<float>((load_byte(q + 32 * (sub / 2) + l) >> (4 * (sub % 2))) & 15) - minimum;
  }
}
inline void decode_q5_k(const std::byte* block, float* out) noexcept {
  const float d = load_half(block), dmin = load_half(block + 2);
  const std::byte *high = block + 16, *q = block + 48;
  for (int sub = 0; sub < 8; ++sub) {
    const auto [s, m] = scale_minimum_of(sub, block + 4);
    const float scale = d * static_cast<float>(s), minimum = dmin * static_cast<float>(m);
    for (int l = 0; l < 32; ++l) {
      const int low = (load_byte(q + 32 * (sub / 2) + l) >> (4 * (sub % 2))) & 15;
      *out++ = scale * static_cast<float>(low | ((load_byte(high + l) >> sub) & 1) << 4) - minimum;
    }
  }
}
inline void decode_q6_k(const std::byte* block, float* out) noexcept {
  const std::byte *low = block, *high = block + 128, *scales = block + 192;
  const float d = load_half(block + 208);
  for (int half = 0; half < 2; ++half)
    for (int part = 0; part < 4; ++part)
      for (int l = 0; l < 32; ++l) {
        const int nibble = (load_byte(low + 64 * half + 32 * (part % 2) + l) >> (4 * (part / 2))) & 15;
        const int upper = (load_byte(high + 32 * half + l) >> (2 * part)) & 3;
        const int scale = load<std::int8_t>(scales + 8 * half + 2 * part + l / 16);
        *out++ = d * static_cast<float>(scale) * static_cast<float>((nibble | upper << 4) - 32);
      }
}

}  // namespace embedpool::formats
