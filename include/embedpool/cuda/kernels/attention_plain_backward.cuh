#pragma once
#include "embedpool/cuda/kernels/attention_plain.cuh"

namespace embedpool::cuda {

/// What the backward kernels need of each row of weights, a warp for a query of a head. Oracle  AttentionRow's formulas
///
/// Shapes  out, dout [queries, NH d], log_sum_exp [queries, NH], rows [NH, queries]
template <DeviceElement T, MaskPolicy M>
struct AttentionRows {
  static constexpr int threads = PlainHead<T>::threads, blocks_at_once = PlainHead<T>::blocks_at_once;
  AttentionInput<T, M> in;
  Rows<const T> out;
  Rows<const T> dout;
  Rows<const float> log_sum_exp;
  AttentionRow* rows;

  LaunchShape launch_shape() const noexcept { return PlainHead<T>::launch_shape(in.q.rows * in.heads, 0); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index pair = thread.block() * (threads / warp_size) + thread.warp();
    if (pair >= in.q.rows * in.heads) return;  // a whole warp, and no barrier is the block's
    const Index row = pair / in.heads, h = pair % in.heads;
    const T* const output = out.row_data(row) + h * in.head_dim;
    const T* const gradient = dout.row_data(row) + h * in.head_dim;
    float mean = 0;
    for (int c = thread.lane(); c < in.head_dim; c += warp_size) mean += widened(output[c]) * widened(gradient[c]);
    mean = warp_reduce(thread, mean, Sum{});
    if (thread.lane() != 0) return;
    const TextShape& text = in.batch.queries.shape[in.batch.queries.text_of_row[row]];
    const Interval keys = in.mask.keys(in.batch.queries.position(row), text);
    rows[h * in.q.rows + row] = {log_sum_exp(row, h) * log2_e, mean, static_cast<std::int32_t>(keys.begin),
                                 static_cast<std::int32_t>(keys.end)};
  }
};

/// dq_i = scale sum over j of ds_ij k_j, ds_ij = p_ij (dout_i . v_j - mean_i): a warp for a query of a head.
///
/// Shapes  dout, dq [queries, NH d], rows [NH, queries]
/// Oracle  embedpool::masked_attention_backward
template <DeviceElement T, MaskPolicy M>
struct PlainQueryGradient {
  static constexpr int threads = PlainHead<T>::threads, blocks_at_once = PlainHead<T>::blocks_at_once;
  AttentionInput<T, M> in;
  Rows<const T> dout;
  const AttentionRow* rows;
  Rows<T> dq;

  LaunchShape launch_shape() const noexcept { return PlainHead<T>::launch_shape(in.q.rows * in.heads, 1); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index pair = thread.block() * (threads / warp_size) + thread.warp();
    if (pair >= in.q.rows * in.heads) return;  // a whole warp, and no barrier is the block's
    const Index row = pair / in.heads, h = pair % in.heads, column = h / in.group() * in.head_dim;
    const PlainHead<T> head{in.head_dim, heads_in_packs(in.head_dim, in.q) && heads_in_packs(in.head_dim, in.k) &&
                                             heads_in_packs(in.head_dim, in.v) && heads_in_packs(in.head_dim, dout)};
    const Index first_key = in.batch.keys.first_row[in.batch.queries.text_of_row[row]];
    const AttentionRow own = rows[h * in.q.rows + row];
    const T* const query = in.q.row_data(row) + h * in.head_dim;
    const T* const gradient = dout.row_data(row) + h * in.head_dim;
    float* const dscores = reinterpret_cast<float*>(thread.shared()) + thread.warp() * warp_size;

    float sums[PlainHead<T>::lane_columns] = {};
    for (Index first = own.begin; first < own.end; first += warp_size) {
      if (const Index key = first + thread.lane(); key < own.end) {
        const Index place = first_key + key;
        const float score = in.scale_log2 * head.dot(query, in.k.row_data(place) + column);
        const float dweight = head.dot(gradient, in.v.row_data(place) + column);
        dscores[thread.lane()] = power_of_two(score - own.log2_sum) * (dweight - own.mean);
      }
      thread.synchronize_warp();
      const int count = static_cast<int>(own.end - first < warp_size ? own.end - first : warp_size);
      for (int j = 0; j < count; ++j)
        head.add(sums, dscores[j], in.k.row_data(first_key + first + j) + column, thread.lane());
      thread.synchronize_warp();
    }
    head.write(dq.row_data(row) + h * in.head_dim, in.scale, sums, thread.lane());
  }
};

/// dk_j = scale sum of ds_ij q_i, dv_j = sum of p_ij dout_i, over the heads that share j and the queries i that see it,
/// both rising: a warp for a key of a key/value head.
///
/// Shapes  dout [queries, NH d], rows [NH, queries], dk, dv [N, NKV d]
/// Oracle  embedpool::masked_attention_backward
template <DeviceElement T, MaskPolicy M>
struct PlainKeyValueGradient {
  static constexpr int threads = PlainHead<T>::threads, blocks_at_once = PlainHead<T>::blocks_at_once;
  AttentionInput<T, M> in;
  Rows<const T> dout;
  const AttentionRow* rows;
  Rows<T> dk;
  Rows<T> dv;

  LaunchShape launch_shape() const noexcept { return PlainHead<T>::launch_shape(in.k.rows * in.kv_heads, 2); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index pair = thread.block() * (threads / warp_size) + thread.warp();
    if (pair >= in.k.rows * in.kv_heads) return;  // a whole warp, and no barrier is the block's
    const Index place = pair / in.kv_heads, g = pair % in.kv_heads;
    const PlainHead<T> head{in.head_dim, heads_in_packs(in.head_dim, in.q) && heads_in_packs(in.head_dim, in.k) &&
                                             heads_in_packs(in.head_dim, in.v) && heads_in_packs(in.head_dim, dout)};
    const PackedTexts& queries = in.batch.queries;
    const Index text = in.batch.keys.text_of_row[place], key = in.batch.keys.position(place);
    const Interval seen = queries_that_see(in.mask, queries.held[text], queries.shape[text], {key, key + 1});
    const Index first_row = queries.first_row[text] - queries.held[text].begin;  // of query 0, were it held
    const T* const own_key = in.k.row_data(place) + g * in.head_dim;
    const T* const own_value = in.v.row_data(place) + g * in.head_dim;
    float* const weights = reinterpret_cast<float*>(thread.shared()) + 2 * warp_size * thread.warp();
    float* const dscores = weights + warp_size;

    float key_sums[PlainHead<T>::lane_columns] = {}, value_sums[PlainHead<T>::lane_columns] = {};
    for (Index h = g * in.group(); h < (g + 1) * in.group(); ++h)
      for (Index first = seen.begin; first < seen.end; first += warp_size) {
        if (const Index i = first + thread.lane(); i < seen.end) {
          const Index row = first_row + i;
          const AttentionRow other = rows[h * in.q.rows + row];
          const float score = in.scale_log2 * head.dot(in.q.row_data(row) + h * in.head_dim, own_key);
          const float dweight = head.dot(dout.row_data(row) + h * in.head_dim, own_value);
          weights[thread.lane()] = power_of_two(score - other.log2_sum);
          dscores[thread.lane()] = weights[thread.lane()] * (dweight - other.mean);
        }
        thread.synchronize_warp();
        const int count = static_cast<int>(seen.end - first < warp_size ? seen.end - first : warp_size);
        for (int j = 0; j < count; ++j) {
          const Index row = first_row + first + j;
          head.add(key_sums, dscores[j], in.q.row_data(row) + h * in.head_dim, thread.lane());
          head.add(value_sums, weights[j], dout.row_data(row) + h * in.head_dim, thread.lane());
        }
        thread.synchronize_warp();
      }
    head.write(dk.row_data(place) + g * in.head_dim, in.scale, key_sums, thread.lane());
    head.write(dv.row_data(place) + g * in.head_dim, 1, value_sums, thread.lane());
  }
};

}  // namespace embedpool::cuda
