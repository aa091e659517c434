#pragma once
#include "embedpool/core/text_shape.hpp"
#include "embedpool/kernels/bfloat16/rounding.hpp"
#include "embedpool/kernels/panels.hpp"

namespace embedpool::simd {

/// Whether rows of W are pairs of bfloat16 already, where a pair may lie.
inline bool is_aligned_pairs(const WeightView& w) noexcept {
  return w.format == Format::BF16 && w.cols % 2 == 0 &&
         reinterpret_cast<std::uintptr_t>(w.data) % alignof(Bfloat16Pair) == 0;
}

/// Pairs k-major: out[j * stride + i] = in[i][j]. They are moved as words, as floats are.
inline void transpose_pairs(Rows<const Bfloat16Pair> in, Bfloat16Pair* out, Index stride) noexcept {
  transpose(Rows<const float>(reinterpret_cast<const float*>(in.data), in.rows, in.cols, in.stride),
            reinterpret_cast<float*>(out), stride);
}

/// pack_rows for formats that are decoded along a row: a row's values are rounded to pairs, and these transposed.
inline void pack_rounded_rows(const WeightView& w, Index first, Index count, Interval columns, Bfloat16Pair* out,
                              Index stride) noexcept {
  const FormatInfo layout = info(w.format);
  constexpr Index longest_block = 256;
  const Index chunk = std::max<Index>(64, layout.block_values);  // pairs of it stay in the first cache
  const Index valid = std::clamp<Index>(w.rows - first, 0, count);
  alignas(64) float decoded[static_cast<std::size_t>(longest_block)];
  alignas(64) Bfloat16Pair pairs[static_cast<std::size_t>(Tile<float>::width * longest_block / 2)];
  std::fill_n(pairs + valid * chunk / 2, (count - valid) * chunk / 2, Bfloat16Pair{});
  for (Index k = columns.begin; k < columns.end; k += chunk) {
    const Index now = std::min(chunk, columns.end - k);
    for (Index i = 0; i < valid; ++i) {
      const std::byte* source = w.row(first + i) + k / layout.block_values * layout.block_bytes;
      const float* values = decoded;
      if (is_aligned_f32(w)) {
        values = reinterpret_cast<const float*>(source);  // as they are: nothing to decode
        for (Index j = 0; j < chunk; j += 16)             // more rows than the machine follows by itself
          __builtin_prefetch(values + 2 * chunk + j);
      } else {
        decode_values(w.format, source, now, decoded);
      }
      round_row(values, now, pairs + i * chunk / 2);
    }
    const Index depth = (now + 1) / 2;
    transpose_pairs(Rows<const Bfloat16Pair>(pairs, count, depth, chunk / 2), out, stride);
    out += depth * stride;
  }
}

#ifdef __AVX2__
/// pack_rows for formats whose blocks are decoded k-major: two rows of the panel in floats are one of pairs. Goes
/// through a strip of rows at a time, as those are decoded.
inline void pack_unpacked_rows(const WeightView& w, Index first, Index count, Interval columns, Bfloat16Pair* out,
                               Index stride) noexcept {
  constexpr Index chunk = 512;
  alignas(64) float decoded[static_cast<std::size_t>(strip_rows * chunk)];
  const Index strip = std::min(strip_rows, count);
  for (Index i = 0; i < count; i += strip) {
    for (Index k = columns.begin; k < columns.end; k += chunk) {
      const Index now = std::min(chunk, columns.end - k);
      pack_rows(w, first + i, strip, k, now, decoded, strip);
      Bfloat16Pair* to = out + (k - columns.begin) / 2 * stride + i;
      for (Index j = 0; j < now; j += 2, to += stride)
        interleave_rounded(decoded + j * strip, decoded + (j + 1) * strip, strip, to);
    }
  }
}
#endif

/// Decodes pairs [k, k + depth) of rows [first, first + count) of W, rounds them to bfloat16 and writes them k-major,
/// rows beyond the last as zeros: out[j * stride + i] = (W[first + i][2 (k + j)], W[first + i][2 (k + j) + 1]).
///
/// Requires  2 k and 2 depth are multiples of the format's block, or 2 (k + depth) is w.cols or one more;
///           count <= Tile::width is a multiple of lanes
inline void pack_rows(const WeightView& w, Index first, Index count, Index k, Index depth, Bfloat16Pair* out,
                      Index stride) noexcept {
  if (is_aligned_pairs(w) && first + count <= w.rows) {  // nothing to decode
    const auto* source = reinterpret_cast<const Bfloat16Pair*>(w.row(first)) + k;
    return transpose_pairs(Rows<const Bfloat16Pair>(source, count, depth, w.cols / 2), out, stride);
  }
  const Interval columns{2 * k, std::min(2 * (k + depth), w.cols)};
#ifdef __AVX2__
  if (formats::has_unpack(w.format)) return pack_unpacked_rows(w, first, count, columns, out, stride);
#endif
  pack_rounded_rows(w, first, count, columns, out, stride);
}

}  // namespace embedpool::simd
