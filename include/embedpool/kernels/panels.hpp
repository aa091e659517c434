#pragma once
#include <algorithm>
#include <cstdint>

#include "embedpool/kernels/dequantize.hpp"
#include "embedpool/kernels/gemm_tile.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool::simd {

/// Decodes columns [k, k + depth) of rows [first, first + count) of W and writes them k-major, rows beyond the last as
/// zeros: out[j * stride + i] = W[first + i][k + j].
///
/// Requires  k and depth are multiples of the format's block; count <= Tile::width is a multiple of lanes
template <Real S>
void pack_rows(const WeightView& w, Index first, Index count, Index k, Index depth, S* out, Index stride) noexcept {
  const FormatInfo layout = info(w.format);
  const Index valid = std::clamp<Index>(w.rows - first, 0, count);
  if constexpr (std::same_as<S, float>)
    if (w.format == Format::F32 && valid == count && reinterpret_cast<std::uintptr_t>(w.data) % alignof(float) == 0) {
      const auto* source = reinterpret_cast<const float*>(w.row(first)) + k;  // as it is: nothing to decode
      return transpose(Rows<const float>(source, count, depth, w.cols), out, stride);
    }
  constexpr Index longest_block = 256;
  const Index chunk = std::max<Index>(64, layout.block_values);  // rows of it stay in the first cache
  alignas(64) S decoded[static_cast<std::size_t>(Tile<S>::width * longest_block)];
  for (Index begin = 0; begin < depth; begin += chunk) {
    const Index now = std::min(chunk, depth - begin);
    for (Index i = 0; i < count; ++i) {
      S* row = decoded + i * chunk;
      if (i < valid)
        decode_values(w.format, w.row(first + i) + (k + begin) / layout.block_values * layout.block_bytes, now, row);
      else
        std::fill(row, row + now, S(0));
    }
    transpose(Rows<const S>(decoded, count, now, chunk), out + begin * stride, stride);
  }
}

/// Panels of one matrix: panel p holds rows [p * width, (p + 1) * width) of W, which are columns of C.
template <Real S>
struct MatrixPanels {
  WeightView w;

  Index count() const noexcept { return (w.rows + Tile<S>::width - 1) / Tile<S>::width; }
  Index depth() const noexcept { return w.cols; }
  void pack(Index panel, Index k, Index depth, S* out) const noexcept {
    pack_rows(w, panel * Tile<S>::width, Tile<S>::width, k, depth, out, Tile<S>::width);
  }
};

/// Panels of two matrices side by side: the first half of a panel's columns are rows of `gate`, the second half the same
/// rows of `up`, so that both products of a gated feed-forward meet in one register tile.
template <Real S>
struct GatedPanels {
  WeightView gate, up;
  static constexpr Index half = Tile<S>::width / 2;

  Index count() const noexcept { return (gate.rows + half - 1) / half; }
  Index depth() const noexcept { return gate.cols; }
  void pack(Index panel, Index k, Index depth, S* out) const noexcept {
    pack_rows(gate, panel * half, half, k, depth, out, Tile<S>::width);
    pack_rows(up, panel * half, half, k, depth, out + half, Tile<S>::width);
  }
};

}  // namespace embedpool::simd
