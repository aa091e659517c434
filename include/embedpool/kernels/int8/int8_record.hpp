#pragma once
#include "embedpool/kernels/byte_registers.hpp"
#include "embedpool/kernels/int8/integer_block.hpp"

namespace embedpool::simd {

/// What a panel holds for 32 consecutive k:
///
///   integers                           q + zero of k = 4 j + i and column c is byte [j][c][i]; of two planes the first
///                                      has the low nibbles and the second the high ones
///   scales [width], offsets [width]    as floats
///
/// Where pair_dots multiplies, the integers are q itself in 16 bits: of k = 2 j + i at [j][c][i], as large as two
/// planes.
struct Int8Record {
  static constexpr Index width = Tile<float>::width;
  int planes;

  constexpr explicit Int8Record(int bits) noexcept : planes(plane_count(bits)) {}
  static constexpr int plane_count(int bits) noexcept {
#ifdef EMBEDPOOL_BYTE_REGISTERS
    return has_byte_dots || bits <= 5 ? 1 : 2;
#else
    return bits > 0 ? 2 : 0;
#endif
  }
  constexpr Index scales_place() const noexcept { return planes * int8::block_values * width; }
  constexpr Index bytes() const noexcept { return scales_place() + 2 * width * Index(sizeof(float)); }
  static constexpr Index plane_bytes() noexcept { return int8::block_values * width; }
};

}  // namespace embedpool::simd
