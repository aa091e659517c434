#pragma once
#include "embedpool/kernels/bfloat16/rounding.hpp"
#include "embedpool/kernels/panels.hpp"

namespace embedpool::simd {

/// Whether rows of W are pairs of bfloat16 already, where a pair may lie.
inline bool is_aligned_pairs(const WeightView& w) noexcept {
  return w.format == Format::BF16 && w.cols % 2 == 0 &&
         reinterpret_cast<std::uintptr_t>(w.data) % alignof(Bfloat16Pair) == 0;
}

/// Decodes pairs [k, k + depth) of rows [first, first + count) of W, rounds them to bfloat16 and writes them k-major,
/// rows beyond the last as zeros: out[j * stride + i] = (W[first + i][2 (k + j)], W[first + i][2 (k + j) + 1]).
///
/// Requires  2 k and 2 depth are multiples of the format's block, or 2 (k + depth) is w.cols or one more;
///           count <= Tile::width is a multiple of lanes
inline void pack_rows(const WeightView& w, Index first, Index count, Index k, Index depth, Bfloat16Pair* out,
                      Index stride) noexcept {
  if (is_aligned_pairs(w) && first + count <= w.rows) {  // transposed as words: nothing to decode
    const auto* source = reinterpret_cast<const float*>(w.row(first)) + k;
    return transpose(Rows<const float>(source, count, depth, w.cols / 2), reinterpret_cast<float*>(out), stride);
  }
  constexpr Index longest_block = 256;
  const Index chunk = std::max<Index>(64, info(w.format).block_values);  // floats of it stay in the first cache
  alignas(64) float decoded[static_cast<std::size_t>(Tile<float>::width * longest_block)];
  for (Index begin = 2 * k, end = std::min(2 * (k + depth), w.cols); begin < end; begin += chunk) {
    const Index now = std::min(chunk, end - begin);
    pack_rows(w, first, count, begin, now, decoded, count);
    if (now % 2 != 0) std::fill_n(decoded + now * count, count, 0.0f);
    for (Index j = 0; j < now; j += 2, out += stride)
      interleave_rounded(decoded + j * count, decoded + (j + 1) * count, count, out);
  }
}

}  // namespace embedpool::simd
