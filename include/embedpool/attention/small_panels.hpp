#pragma once
#include <algorithm>

#include "embedpool/core/rows.hpp"
#include "embedpool/kernels/epilogue.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool::simd {

/// Products on the calling thread, of operands that fit the second cache: the right one is packed as panels that the
/// GEMM tile multiplies with, and may serve many left ones.
///
/// Registers of a panel that are partly filled are filled up with zeros; those that would be empty are never read, and
/// are left as they are.
template <Real S>
struct SmallPanels {
  static constexpr Index width = Tile<S>::width;
  static constexpr Index count(Index columns) noexcept { return (columns + width - 1) / width; }
  static constexpr Index size(Index depth, Index columns) noexcept { return depth * count(columns) * width; }

  /// For C = A B: panel p holds columns [p * width, ...) of B, [rows, width].
  static void pack(Rows<const S> b, S* out) noexcept {
    for (Index first = 0; first < b.cols; first += width)
      for (Index t = 0; t < b.rows; ++t, out += width)
        std::fill(std::copy_n(b.row_data(t) + first, std::min(width, b.cols - first), out), out + width, S(0));
  }
  /// For C = A B^T: panel p holds rows [p * width, ...) of B, [cols, width].
  static void pack_transposed(Rows<const S> b, S* out) noexcept {
    constexpr Index n = lanes<S>;
    for (Index first = 0; first < b.rows; first += n) {
      S* strip = out + first / width * b.cols * width + first % width;
      if (first + n <= b.rows) {
        transpose(b.middle_rows(first, n), strip, width);
        continue;
      }
      for (Index c = 0; c < b.cols; ++c)
        for (Index i = 0; i < n; ++i) strip[c * width + i] = first + i < b.rows ? b(first + i, c) : S(0);
    }
  }
  /// C = epilogue(A P) for panels of `depth` rows, of which rows [begin, begin + a.cols) are used.
  template <class Epilogue>
  static void multiply(Rows<const S> a, const S* panels, Index depth, Index begin, Index columns,
                       const Epilogue& epilogue) noexcept {
    for (Index column = 0; column < columns; column += width, panels += depth * width) {
      const Index valid = std::min(width, columns - column);
      multiply_narrow_panel<Tile<S>::vectors>(
          a, panels + begin * width, valid,
          [&](Index row, const auto& sums) { epilogue.store(row, column, sums, valid); });
    }
  }
};

}  // namespace embedpool::simd
