#pragma once
#include <type_traits>

#include "embedpool/kernels/int8/byte_dots.hpp"
#include "embedpool/kernels/int8/int8_panels.hpp"
#include "embedpool/kernels/int8/pair_dots.hpp"

namespace embedpool::simd {

/// Rows of a tile. Where sums of products need an instruction of their own and registers are few, four rows leave some
/// for the products.
inline constexpr Index int8_tile_rows = has_byte_dots || vector_registers == 32 ? 6 : 4;

/// Rows of quantised activations beside the blocks' factors.
struct Int8Rows {
  Rows<const std::int8_t> values;
  Rows<const int8::ActivationBlock> blocks;

  Int8Rows part(Index first_row, Index rows, Index first_block, Index count) const noexcept {
    return {
        values.middle_rows(first_row, rows).middle_cols(first_block * int8::block_values, count * int8::block_values),
        blocks.middle_rows(first_row, rows).middle_cols(first_block, count)};
  }
};

/// sums[r][c] += sum over blocks b of s_a dot(q_a, q_w) s_w + (s_a sum q_a) o_w, b rising, for R rows against the
/// records of one panel: one chain for each element, whatever the number of rows.
///
/// In every block `ahead` asks for weights that are needed later.
///
/// Shapes  q, factors of R rows; records of `blocks` blocks; sums [R, Tile::width], aligned
template <int R>
[[gnu::noinline]] void int8_tile(const std::int8_t* q, Index stride, const int8::ActivationBlock* factors,
                                 Index factor_stride, const std::byte* records, Index blocks,
                                 const int8::IntegerFormat& kind, float* sums, WeightsAhead& ahead) noexcept {
  constexpr Index width = Int8Record::width, n = lanes<float>;
  constexpr int V = Tile<float>::vectors;
  const Int8Record record(kind.bits);
  for (Index b = 0; b < blocks; ++b, q += int8::block_values, ++factors, records += record.bytes()) {
    ahead.advance();
    const auto* scales = reinterpret_cast<const float*>(records + record.scales_place());
#ifdef EMBEDPOOL_BYTE_REGISTERS
    Bytes dots[R][V];
    byte_dots<R, V>(q, stride, factors, factor_stride, records, kind, dots);
    const auto dot = [&](int r, int v) { return to_floats(dots[r][v]); };
#else
    alignas(64) std::int32_t integers[R][width];
    alignas(64) float dots[R][width];
    pair_dots(q, stride, reinterpret_cast<const std::int16_t*>(records), integers);
    for (int r = 0; r < R; ++r)
      for (Index c = 0; c < width; ++c) dots[r][c] = static_cast<float>(integers[r][c]);
    const auto dot = [&](int r, int v) { return Vector<float>::load_aligned(dots[r] + v * n); };
#endif
    const auto add_block = [&]<bool has_offset>(std::bool_constant<has_offset>) __attribute__((always_inline)) {
      float* c = forgotten(sums);  // sums stay in memory between blocks, their registers are the integers'
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const auto scale = Vector<float>::load_aligned(scales + v * n);
        const auto offset = has_offset ? Vector<float>::load_aligned(scales + width + v * n) : Vector<float>(0.0f);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
          const int8::ActivationBlock& activations = factors[r * factor_stride];
          const Vector<float> scaled = dot(r, v) * Vector<float>(activations.scale);
          auto sum = fma<float>(scaled, scale, Vector<float>::load_aligned(c + r * width + v * n));
          if constexpr (has_offset) sum = fma<float>(Vector<float>(activations.scaled_sum), offset, sum);
          sum.store_aligned(c + r * width + v * n);
        }
      }
    };
    if (kind.has_offset)
      add_block(std::true_type{});
    else
      add_block(std::false_type{});
  }
}

/// All rows of `a` against one panel, in tiles as even as can be. sums [M, Tile::width] are added to.
inline void multiply_int8_panel(const Int8Rows& a, const std::byte* records, const int8::IntegerFormat& kind,
                                float* sums, WeightsAhead& ahead) noexcept {
  const Index blocks = a.blocks.cols;
  Index i = 0;
  while (i < a.values.rows) {
    const Index left = a.values.rows - i, tiles = (left + int8_tile_rows - 1) / int8_tile_rows;
    const Index count = (left + tiles - 1) / tiles;
    const std::int8_t* q = a.values.row_data(i);
    const int8::ActivationBlock* factors = a.blocks.row_data(i);
    const Index stride = a.values.stride, factor_stride = a.blocks.stride;
    float* out = sums + i * Int8Record::width;
    switch (count) {
      case 6:
      case 5:
        if constexpr (int8_tile_rows == 6) {
          if (count == 6)
            int8_tile<6>(q, stride, factors, factor_stride, records, blocks, kind, out, ahead);
          else
            int8_tile<5>(q, stride, factors, factor_stride, records, blocks, kind, out, ahead);
        }
        break;
      case 4: int8_tile<4>(q, stride, factors, factor_stride, records, blocks, kind, out, ahead); break;
      case 3: int8_tile<3>(q, stride, factors, factor_stride, records, blocks, kind, out, ahead); break;
      case 2: int8_tile<2>(q, stride, factors, factor_stride, records, blocks, kind, out, ahead); break;
      default: int8_tile<1>(q, stride, factors, factor_stride, records, blocks, kind, out, ahead); break;
    }
    i += count;
  }
}

}  // namespace embedpool::simd
