#pragma once
#include "embedpool/attention/attention_shape.hpp"
#include "embedpool/core/error.hpp"
#include "embedpool/cuda/attention_tiles.hpp"
#include "embedpool/cuda/kernels/attention_plain_backward.cuh"
#include "embedpool/cuda/kernels/attention_tiles.cuh"
#include "embedpool/cuda/kernels/attention_tiles_backward.cuh"

namespace embedpool::cuda {

/// Memory that the backward pass uses on the way; grows to the largest batch.
struct AttentionBackwardScratch {
  DeviceBuffer<AttentionRow> rows;
};

namespace detail {

/// Errors  ShapeError for what does not fit the batch and the heads, for heads wider than 256 and a scale that is not
///         positive
template <DeviceElement T, MaskPolicy M>
AttentionInput<T, M> attention_input(Rows<const T> q, Rows<const T> k, Rows<const T> v, const AttentionBatch& batch,
                                     const AttentionShape& shape, const M& mask) {
  constexpr auto where = "masked_attention";
  require_in(where, "heads", shape.heads, 1, 1 << 20);
  require_in(where, "kv_heads", shape.kv_heads, 1, shape.heads);
  require_equal(where, "heads % kv_heads", shape.heads % shape.kv_heads, 0);
  require_in(where, "head_dim", shape.head_dim, 1, largest_plain_head);
  if (!(shape.scale > 0)) throw ShapeError("masked_attention: scale must be positive");
  require_equal(where, "rows of q", q.rows, batch.queries.rows);
  require_equal(where, "columns of q", q.cols, shape.heads * shape.head_dim);
  for (const Rows<const T>& rows : {k, v}) {
    require_equal(where, "rows of k and v", rows.rows, batch.keys.rows);
    require_equal(where, "columns of k and v", rows.cols, shape.kv_heads * shape.head_dim);
  }
  const float scale = static_cast<float>(shape.scale);
  return {q, k, v, batch, static_cast<int>(shape.heads), static_cast<int>(shape.kv_heads),
          static_cast<int>(shape.head_dim), scale, static_cast<float>(shape.scale * 1.4426950408889634), mask};
}

/// A matrix beside another one.
template <class T, class U>
void require_shape_of(const char* what, const Rows<T>& rows, const Rows<U>& model) {
  require_equal("masked_attention", std::string("rows of ") + what, rows.rows, model.rows);
  require_equal("masked_attention", std::string("columns of ") + what, rows.cols, model.cols);
}
inline void require_sums(const Rows<const float>& log_sum_exp, Index queries, Index heads) {
  require_equal("masked_attention", "rows of log_sum_exp", log_sum_exp.rows, queries);
  require_equal("masked_attention", "columns of log_sum_exp", log_sum_exp.cols, heads);
}

/// Calls f(padded) with the width of the tile kernels' heads as an integral constant, 0 for the plain kernels.
template <DeviceElement T, class F>
void choose_tiles(Index head_dim, F&& f) {
  if constexpr (!std::same_as<T, float>) {
    if (head_dim % 16 == 0 && head_dim <= 64) return f(std::integral_constant<int, 64>{});
    if (head_dim % 16 == 0 && head_dim <= 128) return f(std::integral_constant<int, 128>{});
  }
  f(std::integral_constant<int, 0>{});
}

}  // namespace detail

/// Attention of packed, ragged texts under a mask policy: out_i = sum over j in mask.keys(i) of
/// softmax_j(scale q_i . k_j) v_j, fused: no [n, n] buffer. For bf16 and f16 with heads of 16, 32, ... 128 on tensor
/// cores, else by the plain kernel. The mask is called on the device: a model of MaskPolicy that is trivially copyable
/// and whose keys() is constexpr or marked EMBEDPOOL_DEVICE.
///
///   log_sum_exp(i, h) = ln of the sum over j of exp(scale q_i . k_j), which the backward pass asks for; null data: not kept
///
/// Shapes  q, out [queries, NH d], packed by the selection that the batch was made with; k, v [N, NKV d];
///         log_sum_exp [queries, NH]
/// Errors  ShapeError for what does not fit, for d > 256 and a scale that is not positive
/// Order   a text's rows do not depend on the batch or on other queries, to the bit
template <DeviceElement T, MaskPolicy M, Device D>
void masked_attention(D& device, Rows<const T> q, Rows<const T> k, Rows<const T> v, const AttentionBatch& batch,
                      const AttentionShape& shape, const M& mask, Rows<T> out, Rows<float> log_sum_exp) {
  const auto input = detail::attention_input(q, k, v, batch, shape, mask);
  detail::require_shape_of("out", out, q);
  if (log_sum_exp.data) detail::require_sums(log_sum_exp, q.rows, shape.heads);
  detail::choose_tiles<T>(shape.head_dim, [&](auto padded) {
    if constexpr (padded > 0)
      device.launch(TileAttention<T, M, padded>{input, out, log_sum_exp});
    else
      device.launch(PlainAttention<T, M>{input, out, log_sum_exp});
  });
}

/// The way back: the gradients of q, k and v, given that of the output, from what the forward pass left. Weights are made
/// again from q, k and log_sum_exp. Arguments as there, and
///
/// Shapes  dout, dq [queries, NH d]; dk, dv [N, NKV d]; dq, dk and dv are overwritten
/// Order   the same bits every time, in any batch: one block sums an element, over rising heads and queries or keys
template <DeviceElement T, MaskPolicy M, Device D>
void masked_attention_backward(D& device, Rows<const T> q, Rows<const T> k, Rows<const T> v, Rows<const T> out,
                               Rows<const float> log_sum_exp, const AttentionBatch& batch, const AttentionShape& shape,
                               const M& mask, Rows<const T> dout, Rows<T> dq, Rows<T> dk, Rows<T> dv,
                               AttentionBackwardScratch& scratch) {
  const auto input = detail::attention_input(q, k, v, batch, shape, mask);
  detail::require_shape_of("out", out, q);
  detail::require_shape_of("dout", dout, q);
  detail::require_shape_of("dq", dq, q);
  detail::require_shape_of("dk", dk, k);
  detail::require_shape_of("dv", dv, k);
  detail::require_sums(log_sum_exp, q.rows, shape.heads);
  AttentionRow* const rows = scratch.rows.reserve(device, q.rows * shape.heads);
  device.launch(AttentionRows<T, M>{input, out, dout, log_sum_exp, rows});
  detail::choose_tiles<T>(shape.head_dim, [&](auto padded) {
    if constexpr (padded > 0) {
      device.launch(TileQueryGradient<T, M, padded>{input, dout, rows, dq});
      device.launch(TileKeyValueGradient<T, M, padded>{input, dout, rows, dk, dv});
    } else {
      device.launch(PlainQueryGradient<T, M>{input, dout, rows, dq});
      device.launch(PlainKeyValueGradient<T, M>{input, dout, rows, dk, dv});
    }
  });
}

}  // namespace embedpool::cuda
