#pragma once
#include "embedpool/cuda/kernels/attention_tiles.cuh"

namespace embedpool::cuda {

/// A score's part of the backward pass: its weight p and the gradient of the score, ds = p (dp - mean), take the place of
/// the score and of dp = dout . v. What the row does not see has weight 0; `checked` says whether to look.
EMBEDPOOL_DEVICE void weight_gradient(float& score, float& dweight, float scale_log2, const AttentionRow& row, int key,
                                      bool checked) {
  const bool seen = !checked || (row.begin <= key && key < row.end);
  score = seen ? power_of_two(score * scale_log2 - row.log2_sum) : 0.0f;
  dweight = score * (dweight - row.mean);
}

/// dq_i = scale sum over j of ds_ij k_j in tiles on tensor cores: a block for 64 queries of a head, a warp for 16 of them,
/// which it keeps in registers with their dout. Steps and buffers as in TileAttention, whose order of sums it has.
///
/// Shapes  dout, dq [queries, NH d], rows [NH, queries]; d a multiple of 16, d <= D
/// Oracle  embedpool::masked_attention_backward
template <DeviceElement T, MaskPolicy M, int D>
struct TileQueryGradient {
  static constexpr int threads = tile_threads;
  AttentionInput<T, M> in;
  Rows<const T> dout;
  const AttentionRow* rows;
  Rows<T> dq;

  LaunchShape launch_shape() const noexcept {
    return {in.batch.query_tile_count * in.heads, 4 * SharedTile<D>::bytes(attention_tile)};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const QueryTile tile = query_tile(in, thread.block());
    const KeySteps<T, D, G> steps(thread, in, tile);
    const int row = thread.warp() * 16;

    // Queries and dout pass through the second buffers, which are free until the first step has been waited for.
    begin_load<attention_tile>(thread, steps.keys(1), head_rows(in.q, tile.row, tile.count, tile.h, in.head_dim), 0);
    begin_load<attention_tile>(thread, steps.values(1), head_rows(dout, tile.row, tile.count, tile.h, in.head_dim), 0);
    steps.begin_load(steps.begin, 0);
    thread.commit_copies();
    thread.template wait_for_copies<0>();
    thread.synchronize();
    LeftFragment query[D / 16], gradient[D / 16];
    for (int k = 0; k < D / 16; ++k) query[k] = steps.keys(1).left(thread, row, k), gradient[k] = steps.values(1).left(thread, row, k);

    // A lane holds columns of two rows. Rows that the tile has not see nothing; a warp without rows only copies.
    AttentionRow own[2] = {};
    int any_begin = 0, all_begin = 0, all_end = 0, any_end = 0;  // keys that any and all of the warp's rows see
    const auto row_of = [&](int i) { return rows[tile.h * in.q.rows + tile.row + i]; };
    for (int half = 0; half < 2; ++half)
      if (const int i = row + thread.lane() / 4 + 8 * half; i < tile.count) own[half] = row_of(i);
    if (row < tile.count) {
      const AttentionRow first = row_of(row), last = row_of((row + 16 < tile.count ? row + 16 : tile.count) - 1);
      any_begin = first.begin, all_begin = last.begin, all_end = first.end, any_end = last.end;
    }

    SumFragment sums[D / 8] = {};
    for (int first = steps.begin, stage = 0; first < steps.end; first += attention_tile, stage ^= 1) {
      steps.advance(first, stage);
      if (first >= any_end || first + attention_tile <= any_begin) continue;

      const bool checked = first < all_begin || first + attention_tile > all_end;
      constexpr int part = 16;  // keys whose scores and gradients fit in registers beside the rest
      for (int from = 0; from < attention_tile; from += part) {
        SumFragment scores[part / 8] = {}, dweights[part / 8] = {};
        for (int k = 0; k < D / 16; ++k) {
          add_product_transposed<T>(thread, scores, query[k], steps.keys(stage), from, k);
          add_product_transposed<T>(thread, dweights, gradient[k], steps.values(stage), from, k);
        }
        for (int i = 0; i < part / 8; ++i)
          for (std::size_t e = 0; e < 4; ++e) {
            const int key = first + from + 8 * i + 2 * (thread.lane() % 4) + static_cast<int>(e % 2);
            weight_gradient(scores[i][e], dweights[i][e], in.scale_log2, own[e / 2], key, checked);
          }
        for (int k = 0; k < part / 16; ++k)
          add_product<T>(thread, sums, packed<T>(dweights[2 * k], dweights[2 * k + 1]), steps.keys(stage), from + 16 * k);
      }
    }
    thread.template wait_for_copies<0>();
    thread.synchronize();  // nobody reads the buffers any more
    const float factor[2] = {in.scale, in.scale};
    write_rows<D>(thread, sums, factor, steps.keys(0), head_rows(dq, tile.row, tile.count, tile.h, in.head_dim), row);
  }
};

/// dk_j = scale sum of ds_ij q_i, dv_j = sum of p_ij dout_i in tiles on tensor cores: a block for 64 keys of a key/value
/// head, a warp for 16 of them. The queries that see any of them come in steps of 32, head after head of the group,
/// with their dout and AttentionRow through two buffers in shared memory. Scores are those of the transposed product
/// K Q^T, so that both sums have the weights on their left, in registers.
///
/// Order   over rising heads and queries; steps begin at multiples of 32 of the text's queries
/// Shapes  dout [queries, NH d], rows [NH, queries], dk, dv [N, NKV d]; d a multiple of 16, d <= D
/// Oracle  embedpool::masked_attention_backward
template <DeviceElement T, MaskPolicy M, int D>
struct TileKeyValueGradient {
  static constexpr int threads = tile_threads;
  static constexpr int step_queries = 32;
  static constexpr Index tile_bytes = SharedTile<D>::bytes(attention_tile);
  static constexpr Index step_bytes = SharedTile<D>::bytes(step_queries);
  static constexpr Index stage_bytes = 2 * step_bytes + step_queries * Index(sizeof(AttentionRow));
  AttentionInput<T, M> in;
  Rows<const T> dout;
  const AttentionRow* rows;
  Rows<T> dk;
  Rows<T> dv;

  LaunchShape launch_shape() const noexcept {
    return {in.batch.key_tile_count * in.kv_heads, 2 * tile_bytes + 2 * stage_bytes};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const AttentionTile tile = in.batch.key_tiles[thread.block() / in.kv_heads];
    const Index g = thread.block() % in.kv_heads;
    const TextShape shape = in.batch.keys.shape[tile.text];
    const Interval held = in.batch.queries.held[tile.text];
    const Index key_row = in.batch.keys.first_row[tile.text] + tile.first, left = shape.tokens - tile.first;
    const int count = static_cast<int>(left < attention_tile ? left : attention_tile), row = thread.warp() * 16;

    // Steps count from the first query that the text holds.
    const Index query_row = in.batch.queries.first_row[tile.text];
    const Interval seeing = queries_that_see(in.mask, held, shape, {tile.first, tile.first + count});
    const int begin = static_cast<int>(seeing.begin - held.begin) / step_queries * step_queries;
    const int end = static_cast<int>(seeing.end - held.begin);

    const SharedTile<D> keys{thread.shared()}, values{thread.shared() + tile_bytes};
    const auto stage_data = [&](int stage) { return thread.shared() + 2 * tile_bytes + stage * stage_bytes; };
    const auto step_query = [&](int stage) { return SharedTile<D>{stage_data(stage)}; };
    const auto step_gradient = [&](int stage) { return SharedTile<D>{stage_data(stage) + step_bytes}; };
    const auto step_rows = [&](int stage) {
      return reinterpret_cast<AttentionRow*>(stage_data(stage) + 2 * step_bytes);
    };
    const auto begin_step = [&](Index h, int first, int stage) {
      const auto of = [&](const Rows<const T>& matrix) { return head_rows(matrix, query_row, end, h, in.head_dim); };
      begin_load<step_queries>(thread, step_query(stage), of(in.q), first);
      begin_load<step_queries>(thread, step_gradient(stage), of(dout), first);
      if (thread.warp() != 0) return;
      AttentionRow* const to = step_rows(stage) + thread.lane();
      if (first + thread.lane() < end)
        thread.copy_async(reinterpret_cast<std::byte*>(to), reinterpret_cast<const std::byte*>(
                                                                rows + h * in.q.rows + query_row + first + thread.lane()));
      else
        *to = AttentionRow{};  // sees nothing
    };

    SumFragment key_sums[D / 8] = {}, value_sums[D / 8] = {};
    const Index last_head = (g + 1) * in.group();
    if (begin < end) {
      begin_load<attention_tile>(thread, keys, head_rows(in.k, key_row, count, g, in.head_dim), 0);
      begin_load<attention_tile>(thread, values, head_rows(in.v, key_row, count, g, in.head_dim), 0);
      begin_step(g * in.group(), begin, 0);
    }
    thread.commit_copies();
    Index h = g * in.group();
    for (int first = begin, stage = 0; begin < end && h < last_head; stage ^= 1) {
      thread.template wait_for_copies<0>();
      thread.synchronize();  // this step is there, and nobody reads the last one any more
      const bool next_head = first + step_queries >= end;
      const Index following_head = next_head ? h + 1 : h;
      const int following = next_head ? begin : first + step_queries;
      if (following_head < last_head) begin_step(following_head, following, stage ^ 1);
      thread.commit_copies();

      const AttentionRow* const others = step_rows(stage);
      const AttentionRow& first_row = others[0];
      const AttentionRow& last_row = others[(end - first < step_queries ? end - first : step_queries) - 1];
      const int key = tile.first + row;
      if (key < last_row.end && key + 16 > first_row.begin && row < count) {
        const bool checked = key < last_row.begin || key + 16 > first_row.end || end - first < step_queries;
        add_step(thread, key_sums, value_sums, keys, values, step_query(stage), step_gradient(stage), others, row, key,
                 checked);
      }
      h = following_head;
      first = following;
    }
    thread.synchronize_warp();  // of the tiles of keys and values a warp reads its own rows alone, and has done so
    const float one[2] = {1, 1}, scale[2] = {in.scale, in.scale};
    write_rows<D>(thread, key_sums, scale, keys, head_rows(dk, key_row, count, g, in.head_dim), row);
    write_rows<D>(thread, value_sums, one, values, head_rows(dv, key_row, count, g, in.head_dim), row);
  }

 private:
  template <GridThread G>
  EMBEDPOOL_DEVICE void add_step(const G& thread, SumFragment (&key_sums)[D / 8], SumFragment (&value_sums)[D / 8],
                                 const SharedTile<D>& keys, const SharedTile<D>& values, const SharedTile<D>& query,
                                 const SharedTile<D>& gradient, const AttentionRow* others, int row, int key,
                                 bool checked) const {
    SumFragment scores[step_queries / 8] = {}, dweights[step_queries / 8] = {};
    for (int k = 0; k < D / 16; ++k) {
      add_product_transposed<T>(thread, scores, keys.left(thread, row, k), query, 0, k);
      add_product_transposed<T>(thread, dweights, values.left(thread, row, k), gradient, 0, k);
    }
    const int own = key + thread.lane() / 4;
    for (int i = 0; i < step_queries / 8; ++i)
      for (std::size_t e = 0; e < 4; ++e) {
        const AttentionRow& other = others[8 * i + 2 * (thread.lane() % 4) + static_cast<int>(e % 2)];
        weight_gradient(scores[i][e], dweights[i][e], in.scale_log2, other, own + static_cast<int>(e / 2) * 8, checked);
      }
    for (int k = 0; k < step_queries / 16; ++k) {
      add_product<T>(thread, value_sums, packed<T>(scores[2 * k], scores[2 * k + 1]), gradient, 16 * k);
      add_product<T>(thread, key_sums, packed<T>(dweights[2 * k], dweights[2 * k + 1]), query, 16 * k);
    }
  }
};

}  // namespace embedpool::cuda
