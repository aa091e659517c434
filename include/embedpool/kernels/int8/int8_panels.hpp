#pragma once
#include <algorithm>
#include <cassert>

#include "embedpool/kernels/int8/pack_strip.hpp"
#include "embedpool/kernels/int8/weights_ahead.hpp"

namespace embedpool::simd {

/// The integers that a panel of two formats side by side holds: those of either, or bytes where these differ.
constexpr int8::IntegerFormat joint_format(Format first, Format second) noexcept {
  const int8::IntegerFormat a = int8::integer_format(first), b = int8::integer_format(second);
  const bool has_offset = a.has_offset || b.has_offset;
  if (a.bits == b.bits && a.zero == b.zero) return {a.bits, a.zero, has_offset};
  return {8, 128, has_offset};
}

/// The panels of P = W^T as integers: panel p holds rows [p * width, (p + 1) * width) of W as records of 32 k each (see
/// Int8Record), rows beyond the last as copies of it.
struct Int8MatrixPanels {
  WeightView w;

  Index count() const noexcept { return (w.rows + Tile<float>::width - 1) / Tile<float>::width; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return w.cols; }
  int8::IntegerFormat kind() const noexcept { return int8::integer_format(w.format); }
  /// The weights of panels [panel, panel + count), asked for in `pieces` calls.
  WeightsAhead ahead(Index panel, Index count, Index pieces) const noexcept {
    return {w, panel * Tile<float>::width, count * Tile<float>::width, pieces};
  }
  void fetch(Index panel, Index block, Index blocks, std::byte* records) const noexcept {
    pack_integers(w, panel * Tile<float>::width, Tile<float>::width, block, blocks, kind(), 0, records);
  }
};

/// As GatedPanels: the first half of a panel's columns are rows of `gate`, the second half the same rows of `up`.
struct Int8GatedPanels {
  WeightView gate, up;
  static constexpr Index half = Tile<float>::width / 2;

  Index count() const noexcept { return (gate.rows + half - 1) / half; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return gate.cols; }
  int8::IntegerFormat kind() const noexcept { return joint_format(gate.format, up.format); }
  WeightsAhead ahead(Index panel, Index count, Index pieces) const noexcept {
    return {gate, up, panel * half, count * half, pieces};
  }
  void fetch(Index panel, Index block, Index blocks, std::byte* records) const noexcept {
    pack_integers(gate, panel * half, half, block, blocks, kind(), 0, records);
    pack_integers(up, panel * half, half, block, blocks, kind(), half, records);
  }
};

}  // namespace embedpool::simd
