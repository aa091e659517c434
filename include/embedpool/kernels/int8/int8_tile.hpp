#pragma once
#include "embedpool/kernels/int8/int8_panels.hpp"
#include "embedpool/kernels/int8/quantized_rows.hpp"

namespace embedpool::simd {

/// Rows of a tile. Where sums of products need an instruction of their own and registers are few, four rows leave some
/// for the products.
inline constexpr Index int8_tile_rows = has_byte_dots || vector_registers == 32 ? 6 : 4;

/// Makes the compiler forget what it knows of a pointer's target. GCC moves loads out of branches and loops, and what
/// it holds in registers that way the accumulators then lack.
template <class T>
[[gnu::always_inline]] inline T* forgotten(T* p) noexcept {
#ifdef __GNUC__
  asm volatile("" : "+r"(p));
#endif
  return p;
}

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

#ifdef EMBEDPOOL_BYTE_REGISTERS

/// sums[r][v] += the products of words [begin, end) of a block.
template <int begin, int end, int R, int V>
[[gnu::always_inline]] inline void add_steps(const std::int8_t* q, Index stride, const std::byte* bytes,
                                             Bytes (&sums)[R][V]) noexcept {
  constexpr Index pitch = Int8Record::width * 4;
#pragma GCC unroll 8
  for (int j = begin; j < end; ++j) {
    Bytes w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) w[v] = load_bytes(bytes + j * pitch + v * Index(sizeof(Bytes)));
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const Bytes x = broadcast_word(q + r * stride + 4 * j);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] = add_products(sums[r][v], w[v], x);
    }
  }
}

/// As add_steps where sums of products have 16 bits: dots[r][v] = before(r, v) + factor times the sums.
template <int begin, int end, int factor, int R, int V, class Before>
[[gnu::always_inline]] inline void add_short_steps(const std::int8_t* q, Index stride, const std::byte* bytes,
                                                   const Before& before, Bytes (&dots)[R][V]) noexcept {
  Bytes sums[R][V];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sums[r][v] = every_word(0);
  add_steps<begin, end>(forgotten(q), stride, forgotten(bytes), sums);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) dots[r][v] = add_words(before(r, v), widen_sums(sums[r][v], factor));
}

/// The integers of a block of 32 k: dots[r][v] = sum over k of q_a[r][k] q_w[k][v].
template <int R, int V>
[[gnu::always_inline]] inline void block_dots(const std::int8_t* q, Index stride, const int8::ActivationBlock* factors,
                                              Index factor_stride, const std::byte* bytes,
                                              const int8::IntegerFormat& kind, Bytes (&dots)[R][V]) noexcept {
  // The panel holds q_w + zero, so that the sum of the activations times zero is too much.
  const auto start = [&](int r) { return every_word(-kind.zero * factors[r * factor_stride].sum); };
  if constexpr (has_byte_dots) {
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const Bytes first = start(r);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) dots[r][v] = first;
    }
    add_steps<0, 8>(q, stride, bytes, dots);
  } else {
    const auto first = [&](int r, int) { return start(r); };
    const auto so_far = [&](int r, int v) { return dots[r][v]; };
    if (kind.bits == 5) {  // 16 bits hold 4 pairs of at most 2 * 31 * 127
      add_short_steps<0, 4, 1>(q, stride, bytes, first, dots);
      add_short_steps<4, 8, 1>(q, stride, bytes, so_far, dots);
    } else {  // or 8 pairs of at most 2 * 15 * 127
      add_short_steps<0, 8, 1>(q, stride, bytes, first, dots);
      if (kind.bits > 5) add_short_steps<0, 8, 16>(q, stride, bytes + Int8Record::plane_bytes(), so_far, dots);
    }
  }
}

#endif

/// sums[r][c] += sum over blocks b of s_a dot(q_a, q_w) s_w + (s_a sum q_a) o_w, b rising, for R rows against the
/// records of one panel: one chain for each element, whatever the number of rows.
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
    block_dots<R, V>(q, stride, factors, factor_stride, records, kind, dots);
    const auto dot = [&](int r, int v) { return to_floats(dots[r][v]); };
#else
    alignas(64) float dots[R][width];
    for (int r = 0; r < R; ++r) {
      std::int32_t integers[width] = {};
      const auto* u = reinterpret_cast<const std::uint8_t*>(records);
      for (Index j = 0; j < int8::block_values; j += 4)
        for (Index c = 0; c < width; ++c, u += 4)
          for (Index i = 0; i < 4; ++i) integers[c] += std::int32_t(u[i]) * std::int32_t(q[r * stride + j + i]);
      for (Index c = 0; c < width; ++c)
        dots[r][c] = static_cast<float>(integers[c] - kind.zero * factors[r * factor_stride].sum);
    }
    const auto dot = [&](int r, int v) { return Vector<float>::load_aligned(dots[r] + v * n); };
#endif
    const auto add_block = [&]<bool has_offset>(std::bool_constant<has_offset>) __attribute__((always_inline)) {
      float* c = forgotten(sums);
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
