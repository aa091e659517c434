#pragma once
#include <algorithm>
#include <cassert>

#include "embedpool/kernels/int8/pack_strip.hpp"

namespace embedpool::simd {

/// What the tile must know of the integers in a panel.
///
///   zero        u = q + zero is what the panel holds, for its first and its second half of columns
///   has_offset  whether weights have an offset beside their scale
struct Int8PanelKind {
  int bits;
  int zero[2];
  bool has_offset;

  static constexpr Int8PanelKind of(Format first, Format second) noexcept {
    const int8::IntegerFormat a = int8::integer_format(first), b = int8::integer_format(second);
    return {std::max(a.bits, b.bits), {a.zero, b.zero}, a.has_offset || b.has_offset};
  }
};

/// The panels of P = W^T as integers: panel p holds rows [p * width, (p + 1) * width) of W as records of 32 k each (see
/// Int8Record), rows beyond the last as copies of it.
struct Int8MatrixPanels {
  WeightView w;

  Index count() const noexcept { return (w.rows + Tile<float>::width - 1) / Tile<float>::width; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return w.cols; }
  Int8PanelKind kind() const noexcept { return Int8PanelKind::of(w.format, w.format); }
  void fetch(Index panel, Index block, Index blocks, std::byte* records) const noexcept {
    pack_integers(w, panel * Tile<float>::width, Tile<float>::width, block, blocks, Int8Record{kind().bits}, 0,
                  records);
  }
};

/// As GatedPanels: the first half of a panel's columns are rows of `gate`, the second half the same rows of `up`.
struct Int8GatedPanels {
  WeightView gate, up;
  static constexpr Index half = Tile<float>::width / 2;

  Index count() const noexcept { return (gate.rows + half - 1) / half; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return gate.cols; }
  Int8PanelKind kind() const noexcept { return Int8PanelKind::of(gate.format, up.format); }
  void fetch(Index panel, Index block, Index blocks, std::byte* records) const noexcept {
    pack_integers(gate, panel * half, half, block, blocks, Int8Record{kind().bits}, 0, records);
    pack_integers(up, panel * half, half, block, blocks, Int8Record{kind().bits}, half, records);
  }
};

}  // namespace embedpool::simd
