#pragma once
#include <cassert>
#include <cstdint>

#include "embedpool/kernels/formats/iq4.hpp"
#include "embedpool/kernels/formats/k_quants.hpp"

namespace embedpool::int8 {

/// Values that share a scale, in weights and in activations.
inline constexpr Index block_values = 32;

/// What the integers of a storage format are: u = q + zero lies in [0, 2^bits).
///
///   has_offset  w = scale q + offset; without it w = scale q
struct IntegerFormat {
  int bits;
  int zero;
  bool has_offset;
};

/// bits is 0 for formats that are no groups of 32 values with one scale: plain floats, and Q2_K, Q3_K and Q6_K, whose
/// groups have 16.
constexpr IntegerFormat integer_format(Format format) noexcept {
  switch (format) {
    case Format::Q4_0: return {4, 8, false};
    case Format::Q4_1: return {4, 0, true};
    case Format::Q4_K: return {4, 0, true};
    case Format::Q5_0: return {5, 16, false};
    case Format::Q5_1: return {5, 0, true};
    case Format::Q5_K: return {5, 0, true};
    case Format::Q8_0:
    case Format::IQ4_NL:
    case Format::IQ4_XS: return {8, 128, false};
    default: return {0, 0, false};
  }
}

/// 32 consecutive values of a quantised row: w[i] = scale q[i] + offset.
struct IntegerBlock {
  std::int8_t q[block_values];
  float scale;
  float offset;
};

/// Values [32 sub, 32 sub + 32) of a block of weights. Requires integer_format(format).bits > 0.
///
/// Source  the block layouts of ggml-common.h in ggml-org/ggml
inline IntegerBlock read_integers(Format format, const std::byte* block, int sub) noexcept {
  using namespace formats;
  IntegerBlock out{};
  const auto set_nibbles = [&](const std::byte* bytes, auto value) {  // byte j: value j low, value j + 16 high
    const Bytes<16> packed(bytes);
    for (int j = 0; j < 16; ++j) out.q[j] = static_cast<std::int8_t>(value(packed.at[j] & 15, j));
    for (int j = 16; j < 32; ++j) out.q[j] = static_cast<std::int8_t>(value(packed.at[j - 16] >> 4, j));
  };
  switch (format) {
    case Format::Q4_0:
      out.scale = load_half(block);
      set_nibbles(block + 2, [](int q, int) { return q - 8; });
      break;
    case Format::Q4_1:
      out.scale = load_half(block), out.offset = load_half(block + 2);
      set_nibbles(block + 4, [](int q, int) { return q; });
      break;
    case Format::Q5_0: {
      const auto high = load<std::uint32_t>(block + 2);
      out.scale = load_half(block);
      set_nibbles(block + 6, [high](int q, int j) { return (q | int((high >> j) & 1u) << 4) - 16; });
      break;
    }
    case Format::Q5_1: {
      const auto high = load<std::uint32_t>(block + 4);
      out.scale = load_half(block), out.offset = load_half(block + 2);
      set_nibbles(block + 8, [high](int q, int j) { return q | int((high >> j) & 1u) << 4; });
      break;
    }
    case Format::Q8_0:
      out.scale = load_half(block);
      for (int j = 0; j < 32; ++j) out.q[j] = load<std::int8_t>(block + 2 + j);
      break;
    case Format::Q4_K:
    case Format::Q5_K: {
      const bool has_fifth = format == Format::Q5_K;
      const std::byte *high = block + 16, *low = block + (has_fifth ? 48 : 16) + 32 * (sub / 2);
      const auto [scale, minimum] = scale_minimum_of(sub, block + 4);
      out.scale = load_half(block) * static_cast<float>(scale);
      out.offset = -(load_half(block + 2) * static_cast<float>(minimum));
      for (int j = 0; j < 32; ++j) {
        const int fifth = has_fifth ? (load_byte(high + j) >> sub) & 1 : 0;
        out.q[j] = static_cast<std::int8_t>(((load_byte(low + j) >> (4 * (sub % 2))) & 15) | fifth << 4);
      }
      break;
    }
    case Format::IQ4_NL:
      out.scale = load_half(block);
      set_nibbles(block + 2, [](int q, int) { return iq4_values[q]; });
      break;
    default:
      assert(format == Format::IQ4_XS);
      out.scale = load_half(block) * static_cast<float>(iq4_xs_scale(sub, block));
      set_nibbles(block + 8 + 16 * sub, [](int q, int) { return iq4_values[q]; });
  }
  return out;
}

/// As above by the position of the block of 32 in a row of W.
inline IntegerBlock read_integers(const WeightView& w, Index row, Index block) noexcept {
  const FormatInfo layout = info(w.format);
  const Index subs = layout.block_values / block_values;
  return read_integers(w.format, w.row(row) + block / subs * layout.block_bytes, static_cast<int>(block % subs));
}

}  // namespace embedpool::int8

namespace embedpool {

/// Whether int8_gemm_nt multiplies weights of this format; gemm_nt does all others.
constexpr bool int8_supports(Format format) noexcept { return int8::integer_format(format).bits > 0; }

}  // namespace embedpool
