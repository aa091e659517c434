#pragma once
#include <algorithm>

#include "embedpool/kernels/dequantize.hpp"
#include "embedpool/kernels/gemm_tile.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool::simd {

/// Decodes columns [k, k + depth) of rows [first, first + lanes) of W and writes them k-major, rows beyond the last as
/// zeros: out[j * stride + i] = W[first + i][k + j].
///
/// Requires  k and depth are multiples of the format's block
template <Real S>
void pack_strip(const WeightView& w, Index first, Index k, Index depth, S* out, Index stride) noexcept {
  constexpr Index n = lanes<S>;
  constexpr Index chunk = 256;  // the longest block of any format; 16 rows of it fit the first cache
  alignas(64) S decoded[static_cast<std::size_t>(n * chunk)];
  const FormatInfo layout = info(w.format);
  for (Index begin = 0; begin < depth; begin += chunk) {
    const Index count = std::min(chunk, depth - begin);
    for (Index i = 0; i < n; ++i) {
      S* row = decoded + i * chunk;
      if (first + i < w.rows)
        decode_values(w.format, w.row(first + i) + (k + begin) / layout.block_values * layout.block_bytes, count, row);
      else
        std::fill(row, row + count, S(0));
    }
    transpose_strip(Rows<const S>(decoded, n, count, chunk), out + begin * stride, stride);
  }
}

/// Panels of one matrix: panel p holds rows [p * width, (p + 1) * width) of W, which are columns of C.
template <Real S>
struct MatrixPanels {
  WeightView w;

  Index count() const noexcept { return (w.rows + Tile<S>::width - 1) / Tile<S>::width; }
  Index depth() const noexcept { return w.cols; }
  void pack(Index panel, Index k, Index depth, S* out) const noexcept {
    for (int v = 0; v < Tile<S>::vectors; ++v)
      pack_strip(w, panel * Tile<S>::width + v * lanes<S>, k, depth, out + v * lanes<S>, Tile<S>::width);
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
    for (int v = 0; v < Tile<S>::vectors; ++v) {
      const bool second = v >= Tile<S>::vectors / 2;
      const Index first = panel * half + (v - (second ? Tile<S>::vectors / 2 : 0)) * lanes<S>;
      pack_strip(second ? up : gate, first, k, depth, out + v * lanes<S>, Tile<S>::width);
    }
  }
};

}  // namespace embedpool::simd
