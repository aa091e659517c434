#pragma once
#include <vector>

#include "embedpool/attention/masked_attention.hpp"
#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/layer_states.hpp"
#include "embedpool/kernels/gemm.hpp"
#include "embedpool/kernels/norm.hpp"
#include "embedpool/nn/linear.hpp"
#include "embedpool/nn/rotary_embedding.hpp"
#include "embedpool/nn/selected_rows.hpp"

namespace embedpool {

/// What the attention half of a block multiplies with. An empty vector means that the model has no such tensor.
template <Real S>
struct SelfAttentionWeights {
  std::vector<S> norm{};          ///< [D] gain of the RMSNorm in front
  WeightView query{};             ///< [NH d, D]
  WeightView key{}, value{};      ///< [NKV d, D]
  WeightView output{};            ///< [D, NH d]
  std::vector<S> query_bias{}, key_bias{}, value_bias{}, output_bias{};
  std::vector<S> query_norm{}, key_norm{};  ///< [d] gains of the RMSNorm over each head (Qwen3)
};

/// The numbers of the attention half that are not weights.
template <Real S>
struct SelfAttentionShape {
  AttentionShape attention{};  ///< heads, kv_heads, head_dim, scale
  S norm_epsilon = S(1e-5);
  RotaryStyle rotary_style = RotaryStyle::halves;
};

/// What the attention half makes on its way, kept from forward: scratch for inference, and what a backward reads.
template <Real S>
struct SelfAttentionCache {
  AlignedBuffer<S> normed{};  ///< [held, D] RMSNorm of the input; pruned: its first rows hold the selected tokens
  AlignedBuffer<S> query{};   ///< [rows, NH d] after norm and rotation
  AlignedBuffer<S> key{};     ///< [held, NKV d] after norm and rotation
  AlignedBuffer<S> value{};   ///< [held, NKV d]
  AlignedBuffer<S> mixed{};   ///< [rows, NH d] attention output before the output projection
  AlignedBuffer<S> every_key{}, every_value{};  ///< [N, NKV d] of all texts, when they share rows
};

/// The attention half of a block: x += W_o attention(rotate(norm(W_q h)), rotate(norm(W_k h)), W_v h) with
/// h = RMSNorm(x), under a mask, for the tokens in `queries`; keys and values are made of every token that x holds.
///
/// Shapes   x [held.rows(), D]: all N tokens, or without those that a text shares with the first one (ComputedTokens).
///          When `queries` leaves out more, x is compacted in place: afterwards its first queries.rows() rows are the
///          selected tokens, and the rest is undefined. Values equal those of all tokens computed to the bit.
/// Returns  the view of the rows of x that are now valid
template <Real S, ComputePolicy<S> Compute, MaskPolicy M, Executor E>
Rows<S> self_attention_forward(const SelfAttentionWeights<S>& w, const SelfAttentionShape<S>& shape,
                               const Compute& compute, const M& mask,
                               const Segments& segments, const RowSelection& held, const RowSelection& queries,
                               const RotaryTable<S>& rotary, Rows<S> x, SelfAttentionCache<S>& cache, E& executor) {
  const Rows<S> normed = cache.normed.rows(x.rows, x.cols);
  rms_norm(Rows<const S>(x), w.norm.data(), shape.norm_epsilon, normed, executor);  // [held, D]

  const Rows<S> key = cache.key.rows(x.rows, w.key.rows);
  const Rows<S> value = cache.value.rows(x.rows, w.value.rows);
  auto input = compute.prepare(Rows<const S>(normed), executor);
  linear_forward(compute, input, w.key, w.key_bias, key, executor);        // [held, NKV d]
  linear_forward(compute, input, w.value, w.value_bias, value, executor);  // [held, NKV d]

  const bool pruned = queries.rows() < x.rows;
  if (pruned) input = compute.prepare(Rows<const S>(compact_rows(normed, held, queries)), executor);
  const Rows<S> rows = pruned ? compact_rows(x, held, queries) : x;
  const Rows<S> query = cache.query.rows(rows.rows, w.query.rows);
  linear_forward(compute, input, w.query, w.query_bias, query, executor);  // [rows, NH d]

  const auto& [heads, kv_heads, head_dim, scale] = shape.attention;
  if (!w.query_norm.empty()) {
    head_norm(query, heads, w.query_norm, shape.norm_epsilon, executor);
    head_norm(key, kv_heads, w.key_norm, shape.norm_epsilon, executor);
  }
  rotate(query, heads, queries, rotary, shape.rotary_style, executor);
  rotate(key, kv_heads, held, rotary, shape.rotary_style, executor);

  const Rows<S> mixed = cache.mixed.rows(rows.rows, w.output.cols);
  const Rows<const S> every_key = repeat_shared_rows(Rows<const S>(key), segments, held, cache.every_key, executor);
  const Rows<const S> every_value = repeat_shared_rows(Rows<const S>(value), segments, held, cache.every_value, executor);
  masked_attention(Rows<const S>(query), every_key, every_value, segments, queries, shape.attention, mask, mixed,
                   executor);  // [rows, NH d]
  linear_add(compute, compute.prepare(Rows<const S>(mixed), executor), w.output, w.output_bias, rows,
             executor);  // x += mixed W_o^T + b
  return rows;
}

}  // namespace embedpool
