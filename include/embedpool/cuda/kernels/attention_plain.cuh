#pragma once
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/kernels/attention_input.cuh"

namespace embedpool::cuda {

/// The widest head that the plain kernels take.
inline constexpr int largest_plain_head = 256;

/// What the plain kernels share: a warp for a row of a head, its lanes in turn over 32 rows of the other side, whose
/// products they sum alone, and over the columns of the head.
template <DeviceElement T>
struct PlainHead {
  static constexpr int threads = 128;
  /// Registers enough for the backward kernels' sums, on every architecture: left to itself the compiler spills some.
  static constexpr int blocks_at_once = 5;
  static constexpr int lane_columns = largest_plain_head / warp_size;
  int head_dim;
  bool packs;  ///< whether rows can be read in whole packs

  static constexpr LaunchShape launch_shape(Index pairs, Index floats) noexcept {
    return {divide_up(pairs, threads / warp_size), threads * floats * Index(sizeof(float))};
  }

  /// a . b. Unrolled loops would take more registers than leave the backward kernels room.
  EMBEDPOOL_DEVICE float dot(const T* a, const T* b) const {
    float sum = 0;
    if (packs) {
      EMBEDPOOL_NO_UNROLL
      for (int c = 0; c < head_dim; c += pack_size<T>) {
        const auto x = load<pack_size<T>>(a + c), y = load<pack_size<T>>(b + c);
        for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
      }
    } else {
      EMBEDPOOL_NO_UNROLL
      for (int c = 0; c < head_dim; ++c) sum += widened(a[c]) * widened(b[c]);
    }
    return sum;
  }
  /// sum += weight row, this lane's columns: lane, lane + 32, ...
  EMBEDPOOL_DEVICE void add(float (&sum)[lane_columns], float weight, const T* row, int lane) const {
    for (int i = 0; i < lane_columns; ++i)
      if (const int c = i * warp_size + lane; c < head_dim) sum[i] += weight * widened(row[c]);
  }
  /// row = factor sum
  EMBEDPOOL_DEVICE void write(T* row, float factor, const float (&sum)[lane_columns], int lane) const {
    for (int i = 0; i < lane_columns; ++i)
      if (const int c = i * warp_size + lane; c < head_dim) row[c] = rounded<T>(factor * sum[i]);
  }
};

/// Whether rows and heads allow whole packs.
template <DeviceElement T>
constexpr bool heads_in_packs(int head_dim, const Rows<const T>& rows) noexcept {
  return in_packs(rows) && head_dim % pack_size<T> == 0;
}

/// Attention as it is defined, for any element type and head: a warp for a query of a head, which walks its own keys, 32
/// at a time, with a running maximum and sum (online softmax, arXiv 1805.02867).
///
/// Shapes  out [queries, NH d], log_sum_exp [queries, NH] or null
/// Oracle  embedpool::masked_attention
template <DeviceElement T, MaskPolicy M>
struct PlainAttention {
  static constexpr int threads = PlainHead<T>::threads, blocks_at_once = PlainHead<T>::blocks_at_once;
  AttentionInput<T, M> in;
  Rows<T> out;
  Rows<float> log_sum_exp;

  LaunchShape launch_shape() const noexcept { return PlainHead<T>::launch_shape(in.q.rows * in.heads, 1); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index pair = thread.block() * (threads / warp_size) + thread.warp();
    if (pair >= in.q.rows * in.heads) return;  // a whole warp, and no barrier is the block's
    const Index row = pair / in.heads, h = pair % in.heads, column = h / in.group() * in.head_dim;
    const PlainHead<T> head{in.head_dim, heads_in_packs(in.head_dim, in.q) && heads_in_packs(in.head_dim, in.k)};
    const Index text = in.batch.queries.text_of_row[row];
    const Interval keys = in.mask.keys(in.batch.queries.position(row), in.batch.queries.shape[text]);
    const Index first_key = in.batch.keys.first_row[text];
    const T* const query = in.q.row_data(row) + h * in.head_dim;
    float* const weights = reinterpret_cast<float*>(thread.shared()) + thread.warp() * warp_size;

    float sums[PlainHead<T>::lane_columns] = {};
    float largest = minus_infinity, total = 0;
    for (Index first = keys.begin; first < keys.end; first += warp_size) {
      const Index key = first + thread.lane();
      float score = minus_infinity;
      if (key < keys.end) score = in.scale_log2 * head.dot(query, in.k.row_data(first_key + key) + column);
      const float before = largest;
      largest = warp_reduce(thread, score > largest ? score : largest, Largest{});
      const float correction = power_of_two(before - largest);
      weights[thread.lane()] = power_of_two(score - largest);
      thread.synchronize_warp();
      total *= correction;
      for (float& sum : sums) sum *= correction;
      const int count = static_cast<int>(keys.end - first < warp_size ? keys.end - first : warp_size);
      for (int j = 0; j < count; ++j) {
        total += weights[j];
        head.add(sums, weights[j], in.v.row_data(first_key + first + j) + column, thread.lane());
      }
      thread.synchronize_warp();
    }
    head.write(out.row_data(row) + h * in.head_dim, 1 / total, sums, thread.lane());
    if (log_sum_exp.data && thread.lane() == 0) log_sum_exp(row, h) = (largest + std::log2(total)) / log2_e;
  }
};

}  // namespace embedpool::cuda
