#pragma once
#include "embedpool/attention/masked_attention_backward.hpp"
#include "embedpool/nn/linear_training.hpp"
#include "embedpool/nn/head_norm_backward.hpp"
#include "embedpool/nn/selected_rows_training.hpp"
#include "embedpool/nn/self_attention.hpp"
#include "embedpool/nn/training_context.hpp"

namespace embedpool {

/// The attention half of a block in training.
template <Real S>
struct TrainedAttention {
  TrainedLinear<S> query{}, key{}, value{}, output{};
  TrainedGain<S> norm{}, query_norm{}, key_norm{};
};

/// What its backward reads besides the block's input x.
///
/// Memory  (2 NH + 2 NKV) d values a token, twice that of q and k with q/k norms, and r for each LoRA pair
template <Real S>
struct SelfAttentionRecord {
  AlignedBuffer<S> query{}, key{}, value{};      ///< after norm and rotation
  AlignedBuffer<S> raw_query{}, raw_key{};       ///< before the norm over heads; only in models that have it
  AlignedBuffer<S> mixed{};                      ///< attention output before the output projection
  LoraProducts<S> of_query{}, of_key{}, of_value{}, of_output{};
};

/// Memory that one block after another uses.
template <Real S>
struct SelfAttentionTrainingScratch {
  AlignedBuffer<S> normed{}, asking{};                       ///< [held, D], [rows, D]
  AlignedBuffer<S> every_key{}, every_value{};               ///< [N, NKV d] of all texts, when they share rows
  AlignedBuffer<S> dmixed{}, dquery{}, dkey{}, dvalue{};
  AlignedBuffer<S> draw{};                                   ///< gradient before the norm over heads
  AlignedBuffer<S> dnormed{}, dasking{};
  LoraScratch<S> lora{};
};

namespace detail {
/// h = RMSNorm(x) of every token, and of those that ask.
template <Real S, MaskPolicy M, Executor E>
std::pair<Rows<const S>, Rows<const S>> normed_inputs(const TrainedAttention<S>& w, S epsilon, const TrainingContext<S, M>& at,
                                                      Rows<const S> x, SelfAttentionTrainingScratch<S>& scratch, E& executor) {
  const Rows<S> normed = scratch.normed.rows(x.rows, x.cols);
  rms_norm(x, w.norm.gain->data(), epsilon, normed, executor);
  if (!at.pruned()) return {normed, normed};
  const Rows<S> asking = scratch.asking.rows(at.queries.rows(), x.cols);
  gather_rows(Rows<const S>(normed), at.held, at.queries, asking);
  return {normed, asking};
}

/// Keys and values of all N tokens, from those of the tokens in at.held.
template <Real S, MaskPolicy M, Executor E>
std::pair<Rows<const S>, Rows<const S>> of_every_token(Rows<const S> key, Rows<const S> value, const TrainingContext<S, M>& at,
                                                       SelfAttentionTrainingScratch<S>& scratch, E& executor) {
  return {repeat_shared_rows(key, at.segments, at.held, scratch.every_key, executor),
          repeat_shared_rows(value, at.segments, at.held, scratch.every_value, executor)};
}
}  // namespace detail

/// y = x + W_o attention(...) for the tokens in at.queries: self_attention_forward with LoRA, unmerged. x stays.
///
/// Shapes  x [held.rows(), D], y [queries.rows(), D]
template <Real S, MaskPolicy M, Executor E>
void self_attention_training_forward(const TrainedAttention<S>& w, const SelfAttentionShape<S>& shape,
                                     const TrainingContext<S, M>& at, Rows<const S> x, Rows<S> y,
                                     SelfAttentionRecord<S>& record, SelfAttentionTrainingScratch<S>& scratch, E& executor) {
  const auto [normed, asking] = detail::normed_inputs(w, shape.norm_epsilon, at, x, scratch, executor);
  const Rows<S> query = record.query.rows(y.rows, w.query.weight.rows), key = record.key.rows(x.rows, w.key.weight.rows);
  const Rows<S> value = record.value.rows(x.rows, w.value.weight.rows);
  linear_training_forward(asking, w.query, at.asking, query, record.of_query, scratch.lora, executor);   // [rows, NH d]
  linear_training_forward(normed, w.key, at.every_token, key, record.of_key, scratch.lora, executor);    // [held, NKV d]
  linear_training_forward(normed, w.value, at.every_token, value, record.of_value, scratch.lora, executor);

  const auto& [heads, kv_heads, head_dim, scale] = shape.attention;
  if (!w.query_norm.gain->empty()) {
    std::copy_n(query.data, query.rows * query.cols, record.raw_query.reserve(query.rows * query.cols));
    std::copy_n(key.data, key.rows * key.cols, record.raw_key.reserve(key.rows * key.cols));
    head_norm(query, heads, *w.query_norm.gain, shape.norm_epsilon, executor);
    head_norm(key, kv_heads, *w.key_norm.gain, shape.norm_epsilon, executor);
  }
  rotate(query, heads, at.queries, at.rotary, shape.rotary_style, executor);
  rotate(key, kv_heads, at.held, at.rotary, shape.rotary_style, executor);

  const Rows<S> mixed = record.mixed.rows(y.rows, w.output.weight.cols);
  const auto [every_key, every_value] =
      detail::of_every_token(Rows<const S>(key), Rows<const S>(value), at, scratch, executor);
  masked_attention(Rows<const S>(query), every_key, every_value, at.segments, at.queries, shape.attention, at.mask, mixed,
                   executor);  // [rows, NH d]
  gather_rows(x, at.held, at.queries, y);
  linear_training_add(Rows<const S>(mixed), w.output, at.asking, y, record.of_output, scratch.lora, executor);
}

/// The way back, in place: from dy in the first queries.rows() rows of `gradient` to dx in all held.rows() of it. Gradients of
/// parameters are added to. Ends after those of q, k and v where `wants_dx` is false; `gradient` is undefined then.
template <Real S, MaskPolicy M, Executor E>
void self_attention_training_backward(const TrainedAttention<S>& w, const SelfAttentionShape<S>& shape,
                                      const TrainingContext<S, M>& at, Rows<const S> x, SelfAttentionRecord<S>& record,
                                      Rows<S> gradient, bool wants_dx, SelfAttentionTrainingScratch<S>& scratch,
                                      E& executor) {
  const Index rows = at.queries.rows(), all = at.segments.rows();
  const Index query_width = w.query.weight.rows, kv_width = w.key.weight.rows;
  const auto& [heads, kv_heads, head_dim, scale] = shape.attention;
  const Rows<const S> dy = gradient.middle_rows(0, rows);
  const Rows<const S> query = record.query.rows(rows, query_width), key = record.key.rows(x.rows, kv_width);
  const Rows<const S> value = record.value.rows(x.rows, kv_width), mixed = record.mixed.rows(rows, query_width);

  const Rows<S> dmixed = scratch.dmixed.rows(rows, query_width);
  linear_training_backward(mixed, dy, w.output, at.asking, record.of_output, dmixed, Write::replace, scratch.lora, executor);
  Rows<S> dquery = scratch.dquery.rows(rows, query_width), dkey = scratch.dkey.rows(all, kv_width);
  Rows<S> dvalue = scratch.dvalue.rows(all, kv_width);
  const auto [every_key, every_value] = detail::of_every_token(key, value, at, scratch, executor);
  masked_attention_backward(query, every_key, every_value, at.segments, at.queries, shape.attention, at.mask,
                            Rows<const S>(dmixed), dquery, dkey, dvalue, executor);
  dkey = add_shared_rows(dkey, at.segments, at.held, executor);
  dvalue = add_shared_rows(dvalue, at.segments, at.held, executor);
  rotate(dquery, heads, at.queries, at.rotary, shape.rotary_style, executor, S(-1));
  rotate(dkey, kv_heads, at.held, at.rotary, shape.rotary_style, executor, S(-1));

  // dmixed and dkey's own memory are free again where the norm over heads needs a second buffer.
  if (!w.query_norm.gain->empty()) {
    head_norm_backward(Rows<const S>(record.raw_query.rows(rows, query_width)), heads, w.query_norm, shape.norm_epsilon,
                       Rows<const S>(dquery), dmixed, executor);
    const Rows<S> draw = scratch.draw.rows(x.rows, kv_width);
    head_norm_backward(Rows<const S>(record.raw_key.rows(x.rows, kv_width)), kv_heads, w.key_norm, shape.norm_epsilon,
                       Rows<const S>(dkey), draw, executor);
    dquery = dmixed;
    dkey = draw;
  }

  const auto [normed, asking] = detail::normed_inputs(w, shape.norm_epsilon, at, x, scratch, executor);
  const bool wants_input = wants_dx || w.norm.gradient != nullptr;
  const Rows<S> dnormed = wants_input ? scratch.dnormed.rows(x.rows, x.cols) : Rows<S>();  // [held, D]
  linear_training_backward(normed, Rows<const S>(dkey), w.key, at.every_token, record.of_key, dnormed, Write::replace,
                           scratch.lora, executor);
  linear_training_backward(normed, Rows<const S>(dvalue), w.value, at.every_token, record.of_value, dnormed, Write::add,
                           scratch.lora, executor);
  if (!at.pruned()) {
    linear_training_backward(asking, Rows<const S>(dquery), w.query, at.asking, record.of_query, dnormed, Write::add,
                             scratch.lora, executor);
  } else {
    const Rows<S> dasking = wants_input ? scratch.dasking.rows(rows, x.cols) : Rows<S>();
    linear_training_backward(asking, Rows<const S>(dquery), w.query, at.asking, record.of_query, dasking, Write::replace,
                             scratch.lora, executor);
    if (wants_input) scatter_rows(Rows<const S>(dasking), at.held, at.queries, dnormed);
  }
  if (w.norm.gradient != nullptr)
    rms_norm_gain_backward(x, shape.norm_epsilon, Rows<const S>(dnormed), w.norm.gradient->data(), executor);
  if (!wants_dx) return;
  if (at.pruned()) expand_rows(gradient, at.held, at.queries);
  rms_norm_backward(x, w.norm.gain->data(), shape.norm_epsilon, Rows<const S>(dnormed), gradient, executor);
}

}  // namespace embedpool
