#pragma once
#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/attention_fragments.cuh"
#include "embedpool/cuda/kernels/attention_input.cuh"

namespace embedpool::cuda {

/// A block's tile of queries of one text and head, and the keys that matter to it.
struct QueryTile {
  TextShape shape;
  Index h;          ///< its head
  Index row;        ///< of its first query
  Index key_row;    ///< of the text's key 0
  Index position;   ///< of its first query
  int count;        ///< queries
  Interval keys;    ///< what any of them sees
};

template <DeviceElement T, MaskPolicy M>
EMBEDPOOL_DEVICE QueryTile query_tile(const AttentionInput<T, M>& in, Index block) {
  const AttentionTile tile = in.batch.query_tiles[block / in.heads];
  const PackedTexts& queries = in.batch.queries;
  const Interval held = queries.held[tile.text];
  const TextShape shape = queries.shape[tile.text];
  const Index first = held.begin + tile.first, left = held.end - first;
  const int count = static_cast<int>(left < attention_tile ? left : attention_tile);
  return {shape, block % in.heads, queries.first_row[tile.text] + tile.first, in.batch.keys.first_row[tile.text],
          first, count, {in.mask.keys(first, shape).begin, in.mask.keys(first + count - 1, shape).end}};
}

/// Attention in tiles on tensor cores (FlashAttention-2, arXiv 2307.08691): a block for 64 queries of a head, a warp for
/// 16 of them, which it keeps in registers. Steps of 64 keys and values come through two buffers in shared memory, the
/// next copied while this one is multiplied. A running maximum and sum of each row (online softmax) in float; weights
/// are rounded to T for their product with the values.
///
/// Order   steps begin at multiples of 64 keys of the text, and what a row does not see adds exact zeros: a row's bits
///         depend on its text alone
/// Shapes  out [queries, NH d], log_sum_exp [queries, NH] or null; d a multiple of 16, d <= D
/// Requires  scale > 0
/// Oracle  embedpool::masked_attention
template <DeviceElement T, MaskPolicy M, int D>
struct TileAttention {
  static constexpr int threads = tile_threads;
  static constexpr Index tile_bytes = SharedTile<D>::bytes(attention_tile);
  AttentionInput<T, M> in;
  Rows<T> out;
  Rows<float> log_sum_exp;

  LaunchShape launch_shape() const noexcept { return {in.batch.query_tile_count * in.heads, 4 * tile_bytes}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const QueryTile tile = query_tile(in, thread.block());
    const Index g = tile.h / in.group();
    const auto key_rows = head_rows(in.k, tile.key_row, tile.shape.tokens, g, in.head_dim);
    const auto value_rows = head_rows(in.v, tile.key_row, tile.shape.tokens, g, in.head_dim);
    const auto keys = [&](int stage) { return SharedTile<D>{thread.shared() + stage * tile_bytes}; };
    const auto values = [&](int stage) { return SharedTile<D>{thread.shared() + (2 + stage) * tile_bytes}; };
    const auto begin_step = [&](int first, int stage) {
      begin_load<attention_tile>(thread, keys(stage), key_rows, first);
      begin_load<attention_tile>(thread, values(stage), value_rows, first);
    };

    // Queries pass through the second buffer, which is free until the first step has been waited for.
    const int begin = static_cast<int>(tile.keys.begin) / attention_tile * attention_tile;
    const int end = static_cast<int>(tile.keys.end), row = thread.warp() * 16;
    begin_load<attention_tile>(thread, keys(1), head_rows(in.q, tile.row, tile.count, tile.h, in.head_dim), 0);
    begin_step(begin, 0);
    thread.commit_copies();
    thread.template wait_for_copies<0>();
    thread.synchronize();
    LeftFragment query[D / 16];
    for (int k = 0; k < D / 16; ++k) query[k] = keys(1).left(thread, row, k);

    // A lane holds columns of two rows. Rows that the tile has not see nothing; a warp without rows only copies.
    const WarpKeys seen(*this, tile, row, thread.lane());
    SumFragment sums[D / 8] = {};
    float largest[2] = {minus_infinity, minus_infinity}, total[2] = {};
    for (int first = begin, stage = 0; first < end; first += attention_tile, stage ^= 1) {
      thread.template wait_for_copies<0>();
      thread.synchronize();  // this step is there, and nobody reads the last one any more
      if (first + attention_tile < end) begin_step(first + attention_tile, stage ^ 1);
      thread.commit_copies();
      if (first >= seen.any.end || first + attention_tile <= seen.any.begin) continue;

      SumFragment scores[attention_tile / 8] = {};
      for (int k = 0; k < D / 16; ++k) add_product_transposed<T>(thread, scores, query[k], keys(stage), 0, k);
      if (first < seen.all.begin || first + attention_tile > seen.all.end) seen.hide(scores, first, thread.lane());

      for (int half = 0; half < 2; ++half) {
        const std::size_t a = half == 0 ? 0 : 2, b = a + 1;
        float highest = largest[half];
        for (const SumFragment& score : scores) highest = Largest{}(highest, Largest{}(score[a], score[b]));
        highest = warp_reduce<4>(thread, highest, Largest{});
        // A row that has seen nothing yet: any finite base gives weights 0.
        const float base = highest == minus_infinity ? 0.0f : highest * in.scale_log2;
        const float correction = power_of_two(largest[half] * in.scale_log2 - base);
        largest[half] = highest;
        float sum = 0;
        for (SumFragment& score : scores) {
          score[a] = power_of_two(score[a] * in.scale_log2 - base);
          score[b] = power_of_two(score[b] * in.scale_log2 - base);
          sum += score[a] + score[b];
        }
        total[half] = total[half] * correction + sum;
        for (SumFragment& value : sums) value[a] *= correction, value[b] *= correction;
      }
      for (int k = 0; k < attention_tile / 16; ++k)
        add_product<T>(thread, sums, packed<T>(scores[2 * k], scores[2 * k + 1]), values(stage), 16 * k);
    }

    float factor[2];
    for (int half = 0; half < 2; ++half) {
      total[half] = warp_reduce<4>(thread, total[half], Sum{});
      factor[half] = 1 / total[half];
      const int own = row + thread.lane() / 4 + 8 * half;
      if (log_sum_exp.data && thread.lane() % 4 == 0 && own < tile.count)
        log_sum_exp(tile.row + own, tile.h) = (largest[half] * in.scale_log2 + std::log2(total[half])) / log2_e;
    }
    thread.template wait_for_copies<0>();
    thread.synchronize();  // nobody reads the buffers any more
    write_rows<D>(thread, sums, factor, keys(0), head_rows(out, tile.row, tile.count, tile.h, in.head_dim), row);
  }

 private:
  /// Positions as ints, which comparisons of many scores are cheaper with.
  struct Bounds {
    int begin, end;
  };
  /// What the rows of a warp see: each of the lane's two, all of them, any of them.
  struct WarpKeys {
    Bounds own[2]{};
    Bounds all{};
    Bounds any{};

    EMBEDPOOL_DEVICE WarpKeys(const TileAttention& kernel, const QueryTile& tile, int row, int lane) {
      const auto keys_of = [&](int i) {
        const Interval keys = kernel.in.mask.keys(tile.position + i, tile.shape);
        return Bounds{static_cast<int>(keys.begin), static_cast<int>(keys.end)};
      };
      for (int half = 0; half < 2; ++half)
        if (const int i = row + lane / 4 + 8 * half; i < tile.count) own[half] = keys_of(i);
      if (row >= tile.count) return;
      const Bounds first = keys_of(row), last = keys_of((row + 16 < tile.count ? row + 16 : tile.count) - 1);
      all = {last.begin, first.end};
      any = {first.begin, last.end};
    }
    /// Scores of unseen keys become minus infinity; `first` is the key of the first column.
    template <int n>
    EMBEDPOOL_DEVICE void hide(SumFragment (&scores)[n], int first, int lane) const {
      for (int i = 0; i < n; ++i)
        for (int e = 0; e < 4; ++e) {
          const int key = first + 8 * i + 2 * (lane % 4) + e % 2;
          if (key < own[e / 2].begin || key >= own[e / 2].end) scores[i][static_cast<std::size_t>(e)] = minus_infinity;
        }
    }
  };
};

}  // namespace embedpool::cuda
