#pragma once
#include <cstring>

#include "embedpool/core/half.hpp"
#include "embedpool/kernels/weight.hpp"

namespace embedpool::formats {

/// An unaligned value of a block. Blocks lie in files at any address.
template <class T>
T load(const std::byte* p) noexcept {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}
inline float load_half(const std::byte* p) noexcept { return to_float(f16{load<std::uint16_t>(p)}); }
inline int load_byte(const std::byte* p) noexcept { return std::to_integer<int>(*p); }

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
  for (int j = 0; j < 16; ++j) {
    const int q = load_byte(block + 2 + j);
    out[j] = static_cast<float>((q & 15) - 8) * d;
    out[j + 16] = static_cast<float>((q >> 4) - 8) * d;
  }
}
inline void decode_q4_1(const std::byte* block, float* out) noexcept {
  const float d = load_half(block), m = load_half(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int q = load_byte(block + 4 + j);
    out[j] = static_cast<float>(q & 15) * d + m;
    out[j + 16] = static_cast<float>(q >> 4) * d + m;
  }
}
inline void decode_q5_0(const std::byte* block, float* out) noexcept {
  const float d = load_half(block);
  const auto high = load<std::uint32_t>(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int q = load_byte(block + 6 + j);
    out[j] = static_cast<float>(((q & 15) | int((high >> j) & 1u) << 4) - 16) * d;
    out[j + 16] = static_cast<float>(((q >> 4) | int((high >> (j + 16)) & 1u) << 4) - 16) * d;
  }
}
inline void decode_q5_1(const std::byte* block, float* out) noexcept {
  const float d = load_half(block), m = load_half(block + 2);
  const auto high = load<std::uint32_t>(block + 4);
  for (int j = 0; j < 16; ++j) {
    const int q = load_byte(block + 8 + j);
    out[j] = static_cast<float>((q & 15) | int((high >> j) & 1u) << 4) * d + m;
    out[j + 16] = static_cast<float>((q >> 4) | int((high >> (j + 16)) & 1u) << 4) * d + m;
  }
}
inline void decode_q8_0(const std::byte* block, float* out) noexcept {
  const float d = load_half(block);
  for (int j = 0; j < 32; ++j) out[j] = static_cast<float>(load<std::int8_t>(block + 2 + j)) * d;
}

}  // namespace embedpool::formats
