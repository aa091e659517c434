#pragma once
#include "embedpool/kernels/int8/int8_panels.hpp"
#include "embedpool/kernels/int8/quantized_rows.hpp"

namespace embedpool::simd {

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

/// The integers of a block of 32 k: dots[r][v] = sum over k of q_a[r][k] q_w[k][v].
#ifdef EMBEDPOOL_BYTE_REGISTERS
template <int R, int V>
[[gnu::always_inline]] inline void block_dots(const std::int8_t* q, Index stride, const int8::ActivationBlock* factors,
                                              Index factor_stride, const std::byte* bytes, const Int8PanelKind& kind,
                                              Bytes (&dots)[R][V]) noexcept {
  constexpr Index pitch = Int8Record::width * 4;
  // u = q_w + zero, so the sum of the activations times zero is too much.
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    const int sum = factors[r * factor_stride].sum;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) dots[r][v] = every_word(-kind.zero[2 * v / V] * sum);
  }
  const auto add_steps = [&](int begin, int end, const std::byte* from, Bytes(&sums)[R][V]) {
    for (int j = begin; j < end; ++j) {
      Bytes w[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) w[v] = load_bytes(from + j * pitch + v * Index(sizeof(Bytes)));
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const Bytes x = broadcast_word(q + r * stride + 4 * j);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[r][v] = add_products(sums[r][v], w[v], x);
      }
    }
  };
  if constexpr (has_byte_dots) {
    add_steps(0, 8, bytes, dots);
  } else {
    const auto add_pass = [&](int begin, int end, const std::byte* from, int factor) {
      Bytes sums[R][V];
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[r][v] = every_word(0);
      add_steps(begin, end, from, sums);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) dots[r][v] = add_words(dots[r][v], widen_sums(sums[r][v], factor));
    };
    // The sums of 16 bits hold 8 pairs of at most 2 * 15 * 127, or 4 of at most 2 * 31 * 127.
    if (kind.bits == 5) {
      add_pass(0, 4, bytes, 1);
      add_pass(4, 8, bytes, 1);
    } else {
      add_pass(0, 8, bytes, 1);
      if (kind.bits > 5) add_pass(0, 8, bytes + Int8Record::plane_bytes(), 16);
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
                                 Index factor_stride, const std::byte* records, Index blocks, const Int8PanelKind& kind,
                                 float* sums) noexcept {
  constexpr Index width = Int8Record::width, n = lanes<float>;
  constexpr int V = Tile<float>::vectors;
  const Int8Record record(kind.bits);
  for (Index b = 0; b < blocks; ++b, q += int8::block_values, ++factors, records += record.bytes()) {
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
        dots[r][c] = static_cast<float>(integers[c] - kind.zero[2 * c / width] * factors[r * factor_stride].sum);
    }
    const auto dot = [&](int r, int v) { return Vector<float>::load_aligned(dots[r] + v * n); };
#endif
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const auto scale = Vector<float>::load_aligned(scales + v * n);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        float* sum = sums + r * width + v * n;
        const Vector<float> scaled = dot(r, v) * Vector<float>(factors[r * factor_stride].scale);
        fma<float>(scaled, scale, Vector<float>::load_aligned(sum)).store_aligned(sum);
      }
    }
    if (!kind.has_offset) continue;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const auto offset = Vector<float>::load_aligned(scales + width + v * n);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        float* sum = sums + r * width + v * n;
        const Vector<float> shift(factors[r * factor_stride].scaled_sum);
        fma<float>(shift, offset, Vector<float>::load_aligned(sum)).store_aligned(sum);
      }
    }
  }
}

/// All rows of `a` against one panel, in tiles as even as can be. sums [M, Tile::width] are added to.
inline void multiply_int8_panel(const Int8Rows& a, const std::byte* records, const Int8PanelKind& kind,
                                float* sums) noexcept {
  static_assert(Tile<float>::rows == 6);
  const Index blocks = a.blocks.cols;
  Index i = 0;
  while (i < a.values.rows) {
    const Index left = a.values.rows - i, tiles = (left + 5) / 6, count = (left + tiles - 1) / tiles;
    const std::int8_t* q = a.values.row_data(i);
    const int8::ActivationBlock* factors = a.blocks.row_data(i);
    const Index stride = a.values.stride, factor_stride = a.blocks.stride;
    float* out = sums + i * Int8Record::width;
    switch (count) {
      case 6: int8_tile<6>(q, stride, factors, factor_stride, records, blocks, kind, out); break;
      case 5: int8_tile<5>(q, stride, factors, factor_stride, records, blocks, kind, out); break;
      case 4: int8_tile<4>(q, stride, factors, factor_stride, records, blocks, kind, out); break;
      case 3: int8_tile<3>(q, stride, factors, factor_stride, records, blocks, kind, out); break;
      case 2: int8_tile<2>(q, stride, factors, factor_stride, records, blocks, kind, out); break;
      default: int8_tile<1>(q, stride, factors, factor_stride, records, blocks, kind, out); break;
    }
    i += count;
  }
}

}  // namespace embedpool::simd
