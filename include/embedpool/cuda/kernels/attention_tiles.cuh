#pragma once
#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/query_tiles.cuh"

namespace embedpool::cuda {

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
  AttentionInput<T, M> in;
  Rows<T> out;
  Rows<float> log_sum_exp;

  LaunchShape launch_shape() const noexcept {
    return {in.batch.query_tile_count * in.heads, 4 * SharedTile<D>::bytes(attention_tile)};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const QueryTile tile = query_tile(in, thread.block());
    const KeySteps<T, D, G> steps(thread, in, tile);
    const int row = thread.warp() * 16;

    // Queries pass through the second buffer, which is free until the first step has been waited for.
    begin_load<attention_tile>(thread, steps.keys(1), head_rows(in.q, tile.row, tile.count, tile.h, in.head_dim), 0);
    steps.begin_load(steps.begin, 0);
    thread.commit_copies();
    thread.template wait_for_copies<0>();
    thread.synchronize();
    LeftFragment query[D / 16];
    for (int k = 0; k < D / 16; ++k) query[k] = steps.keys(1).left(thread, row, k);

    // A lane holds columns of two rows. Rows that the tile has not see nothing; a warp without rows only copies.
    const WarpKeys seen(*this, tile, row, thread.lane());
    SumFragment sums[D / 8] = {};
    float largest[2] = {minus_infinity, minus_infinity}, total[2] = {};
    for (int first = steps.begin, stage = 0; first < steps.end; first += attention_tile, stage ^= 1) {
      steps.advance(first, stage);
      if (first >= seen.any.end || first + attention_tile <= seen.any.begin) continue;

      SumFragment scores[attention_tile / 8] = {};
      for (int k = 0; k < D / 16; ++k) add_product_transposed<T>(thread, scores, query[k], steps.keys(stage), 0, k);
      if (first < seen.all.begin || first + attention_tile > seen.all.end) seen.hide(scores, first, thread.lane());

      for (int half = 0; half < 2; ++half) {
        const std::size_t a = half == 0 ? 0 : 2, b = a + 1;
        float highest = largest[half];
        for (const SumFragment& score : scores) highest = Largest{}(highest, Largest{}(score[a], score[b]));
        highest = warp_reduce<4>(thread, highest, Largest{});
        // A row that has seen nothing yet: any finite base gives weights 0.
        const float base = highest == minus_infinity ? 0.0f : highest * in.scale_log2;
        // Exactly 1 for keys that a row does not see: fused to one operation, the difference would be what base was rounded by.
        const float correction = largest[half] == highest ? 1.0f : power_of_two(largest[half] * in.scale_log2 - base);
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
        add_product<T>(thread, sums, packed<T>(scores[2 * k], scores[2 * k + 1]), steps.values(stage), 16 * k);
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
    write_rows<D>(thread, sums, factor, steps.keys(0), head_rows(out, tile.row, tile.count, tile.h, in.head_dim), row);
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
