#pragma once
#include <algorithm>
#include <cstdint>

#include "embedpool/kernels/dequantize.hpp"
#include "embedpool/kernels/gemm_tile.hpp"
#include "embedpool/kernels/pack_blocks.hpp"
#include "embedpool/kernels/pack_nibbles.hpp"
#include "embedpool/kernels/transpose.hpp"

namespace embedpool::simd {

/// Panels ready to be multiplied: the first at `data`, each next one `pitch` values on, each [depth, Tile::width].
template <Operand T>
struct PanelView {
  const T* data;
  Index pitch;
};

/// Where the panels of a product come from: C = A P, P cut into panels of Tile::width columns. A source has
///
///   count()                            the number of panels
///   group()                            how many of them are made at once
///   depth()                            length of the sums: rows of P, in elements of a row of A
///   fetch(panel, k, depth, buffer)     rows [k, k + depth) of panels [panel, panel + group()), written to `buffer`
///                                      (group() * depth * Tile::width values) or found elsewhere; a PanelView of them
///
/// The loops around the register tile are the same whether panels are decoded from a storage format or kept packed.

/// Whether W holds plain floats where a float may lie.
inline bool is_aligned_f32(const WeightView& w) noexcept {
  return w.format == Format::F32 && reinterpret_cast<std::uintptr_t>(w.data) % alignof(float) == 0;
}

/// Decodes columns [k, k + depth) of rows [first, first + count) of W and writes them k-major, rows beyond the last as
/// zeros: out[j * stride + i] = W[first + i][k + j].
///
/// Requires  k and depth are multiples of the format's block; count <= Tile::width is a multiple of lanes
template <Real S>
void pack_rows(const WeightView& w, Index first, Index count, Index k, Index depth, S* out, Index stride) noexcept {
  const FormatInfo layout = info(w.format);
  const Index valid = std::clamp<Index>(w.rows - first, 0, count);
  const Index place = k / layout.block_values * layout.block_bytes;
  if constexpr (std::same_as<S, float>) {
    if (is_aligned_f32(w) && valid == count) {
      const auto* source = reinterpret_cast<const float*>(w.row(first)) + k;  // as it is: nothing to decode
      return transpose(Rows<const float>(source, count, depth, w.cols), out, stride);
    }
#ifdef EMBEDPOOL_BYTE_REGISTERS
    if (is_nibbles(w.format)) {
      for (Index strip = 0; strip < count; strip += lanes<float>)
        pack_nibbles(w, first + strip, place, depth, out + strip, stride);
      return;
    }
#endif
#ifdef __AVX2__
    if (formats::has_unpack(w.format)) {
      for (Index strip = 0; strip < count; strip += strip_rows) {
        const std::byte* rows[strip_rows];
        for (Index i = 0; i < strip_rows; ++i) rows[i] = strip + i < valid ? w.row(first + strip + i) + place : nullptr;
        pack_blocks(w.format, rows, depth, out + strip, stride, std::min(strip_rows, count - strip));
      }
      return;
    }
#endif
  }
  constexpr Index longest_block = 256;
  const Index chunk = std::max<Index>(64, layout.block_values);  // rows of it stay in the first cache
  alignas(64) S decoded[static_cast<std::size_t>(Tile<S>::width * longest_block)];
  for (Index begin = 0; begin < depth; begin += chunk) {
    const Index now = std::min(chunk, depth - begin);
    for (Index i = 0; i < count; ++i) {
      S* row = decoded + i * chunk;
      if (i < valid)
        decode_values(w.format, w.row(first + i) + place + begin / layout.block_values * layout.block_bytes, now, row);
      else
        std::fill(row, row + now, S(0));
    }
    transpose(Rows<const S>(decoded, count, now, chunk), out + begin * stride, stride);
  }
}

/// The panels of P = W^T: panel p holds rows [p * width, (p + 1) * width) of W, which are columns of C.
template <Operand T>
struct MatrixPanels {
  WeightView w;

  Index count() const noexcept { return (w.rows + Tile<T>::width - 1) / Tile<T>::width; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return operand_count<T>(w.cols); }
  /// Whole registers behind the last row of W are left as they are: gemm_job does not compute them.
  PanelView<T> fetch(Index panel, Index k, Index depth, T* buffer) const noexcept {
    constexpr Index width = Tile<T>::width, register_rows = lanes<SumOf<T>>;
    const Index left = w.rows - panel * width, used = (left + register_rows - 1) / register_rows * register_rows;
    pack_rows(w, panel * width, std::min(width, used), k, depth, buffer, width);
    return {buffer, 0};
  }
};

/// The panels of two matrices side by side: the first half of a panel's columns are rows of `gate`, the second half the
/// same rows of `up`, so that both products of a gated feed-forward meet in one register tile.
template <Operand T>
struct GatedPanels {
  WeightView gate, up;
  static constexpr Index half = Tile<T>::width / 2;

  Index count() const noexcept { return (gate.rows + half - 1) / half; }
  static constexpr Index group() noexcept { return 1; }
  Index depth() const noexcept { return operand_count<T>(gate.cols); }
  PanelView<T> fetch(Index panel, Index k, Index depth, T* buffer) const noexcept {
    pack_rows(gate, panel * half, half, k, depth, buffer, Tile<T>::width);
    pack_rows(up, panel * half, half, k, depth, buffer + half, Tile<T>::width);
    return {buffer, 0};
  }
};

/// The panels of P = W, for C = A W: panel p holds columns [p * width, (p + 1) * width) of W. Storage blocks lie along
/// the columns, so panels are made in groups that a block fits into, or that make good use of a cache line.
template <Real S>
struct ColumnPanels {
  WeightView w;
  static constexpr Index width = Tile<S>::width;
  static constexpr Index rows_ahead = 12;  ///< how far memory is asked for in advance

  Index count() const noexcept { return (w.cols + width - 1) / width; }
  Index group() const noexcept {
    const Index columns = std::max<Index>(64, info(w.format).block_values);
    return std::max<Index>(1, std::min(columns / width, count()));
  }
  Index depth() const noexcept { return w.rows; }
  PanelView<S> fetch(Index panel, Index k, Index depth, S* buffer) const noexcept {
    const FormatInfo layout = info(w.format);
    const Index columns = std::max<Index>(64, layout.block_values), first = panel * width;
    const Index valid = std::min(columns, w.cols - first), bytes = valid / layout.block_values * layout.block_bytes;
    alignas(64) S values[256] = {};
    for (Index n = 0; n < depth; ++n) {
      const std::byte* source = w.row(k + n) + first / layout.block_values * layout.block_bytes;
      if (k + n + rows_ahead < w.rows)  // rows lie too far apart for the machine to foresee
        for (Index byte = 0; byte < bytes; byte += 64) __builtin_prefetch(source + rows_ahead * w.row_bytes() + byte);
      if (group() == 1 && valid == width) {
        decode_values(w.format, source, valid, buffer + n * width);
        continue;
      }
      const S* row = values;
      if (std::same_as<S, float> && valid == columns && is_aligned_f32(w))
        row = reinterpret_cast<const S*>(source);  // as it is: nothing to decode
      else
        decode_values(w.format, source, valid, values);  // zeros stay behind the last column
      for (Index p = 0; p < group(); ++p) std::copy_n(row + p * width, width, buffer + (p * depth + n) * width);
    }
    return {buffer, depth * width};
  }
};

}  // namespace embedpool::simd
