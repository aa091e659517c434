#pragma once
#include "embedpool/kernels/formats/simple_blocks.hpp"

namespace embedpool::formats {

/// The sixteen values of ggml's non-linear 4-bit formats: w = d value[q] (IQ4_NL, blocks of 32), w = d s value[q]
/// (IQ4_XS, blocks of 256 with a 6-bit scale for every 32).
///
/// Source  kvalues_iq4nl of ggml-common.h in ggml-org/ggml
inline constexpr float iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

inline void decode_iq4_nl(const std::byte* block, float* out) noexcept {
  const float d = load_half(block);
  for (int j = 0; j < 16; ++j) {
    const int q = load_byte(block + 2 + j);
    out[j] = d * iq4_values[q & 15];
    out[j + 16] = d * iq4_values[q >> 4];
  }
}
/// The 6-bit scale of sub-block `sub` of IQ4_XS: four bits in a nibble, two in a 16-bit word.
inline int iq4_xs_scale(int sub, const std::byte* block) noexcept {
  const int low = (load_byte(block + 4 + sub / 2) >> (4 * (sub % 2))) & 15;
  const int high = (load<std::uint16_t>(block + 2) >> (2 * sub)) & 3;
  return (low | high << 4) - 32;
}
inline void decode_iq4_xs(const std::byte* block, float* out) noexcept {
  const float d = load_half(block);
  for (int sub = 0; sub < 8; ++sub, out += 32) {
    const float scale = d * static_cast<float>(iq4_xs_scale(sub, block));
    for (int j = 0; j < 16; ++j) {
      const int q = load_byte(block + 8 + 16 * sub + j);
      out[j] = scale * iq4_values[q & 15];
      out[j + 16] = scale * iq4_values[q >> 4];
    }
  }
}

}  // namespace embedpool::formats
