#pragma once
#include "embedpool/kernels/gated_backward.hpp"
#include "embedpool/nn/feed_forward.hpp"
#include "embedpool/nn/linear_training.hpp"
#include "embedpool/nn/head_norm_backward.hpp"

namespace embedpool {

/// The dense feed-forward half of a block in training.
template <Real S>
struct TrainedFeedForward {
  TrainedLinear<S> gate{}, up{}, down{};
  TrainedGain<S> norm{};
};

/// What its backward reads besides the half's input.
///
/// Memory  2 F values a token, and r for each LoRA pair
template <Real S>
struct FeedForwardRecord {
  AlignedBuffer<S> gate{}, up{};  ///< [N, F] before the activation
  LoraProducts<S> of_gate{}, of_up{}, of_down{};
};

/// Memory that one block after another uses.
template <Real S>
struct FeedForwardTrainingScratch {
  AlignedBuffer<S> normed{}, dnormed{};  ///< [N, D]
  AlignedBuffer<S> inner{}, dinner{};    ///< [N, F]
  LoraScratch<S> lora{};
};

namespace detail {
/// inner = act(gate) .* up, in scratch memory.
template <Real S, Executor E>
Rows<const S> gated_inner(GateActivation activation, FeedForwardRecord<S>& record, Index rows, Index width,
                          FeedForwardTrainingScratch<S>& scratch, E& executor) {
  const Rows<S> inner = scratch.inner.rows(rows, width);
  with_activation(activation, [&]<class Activation>() {
    gated_product<Activation>(Rows<const S>(record.gate.rows(rows, width)), Rows<const S>(record.up.rows(rows, width)), inner,
                              executor);
  });
  return inner;
}
}  // namespace detail

/// The first two maps: gate and up of RMSNorm(x). With it alone a block is made ready for backward again.
///
/// Shapes  x [N, D]
template <Real S, Executor E>
void feed_forward_training_gates(const TrainedFeedForward<S>& w, const FeedForwardShape<S>& shape, const Dropout& dropout,
                                 Rows<const S> x, FeedForwardRecord<S>& record, FeedForwardTrainingScratch<S>& scratch,
                                 E& executor) {
  record.of_down.clear();  // of the block that used the record before
  const Rows<S> normed = scratch.normed.rows(x.rows, x.cols);
  rms_norm(x, w.norm.gain->data(), shape.norm_epsilon, normed, executor);
  linear_training_forward(Rows<const S>(normed), w.gate, dropout, record.gate.rows(x.rows, w.gate.weight.rows),
                          record.of_gate, scratch.lora, executor);
  linear_training_forward(Rows<const S>(normed), w.up, dropout, record.up.rows(x.rows, w.up.weight.rows), record.of_up,
                          scratch.lora, executor);
}

/// y += W_down (act(gate) .* up), with gate and up from the record.
///
/// Shapes  y [N, D], which holds x before
template <Real S, Executor E>
void feed_forward_training_down(const TrainedFeedForward<S>& w, const FeedForwardShape<S>& shape, const Dropout& dropout,
                                Rows<S> y, FeedForwardRecord<S>& record, FeedForwardTrainingScratch<S>& scratch,
                                E& executor) {
  const Rows<const S> inner = detail::gated_inner(shape.activation, record, y.rows, w.gate.weight.rows, scratch, executor);
  linear_training_add(inner, w.down, dropout, y, record.of_down, scratch.lora, executor);
}

/// The way back, in place: from dy to dx in `gradient`. Gradients of parameters are added to; the record is used up.
///
/// Shapes  x, gradient [N, D]
template <Real S, Executor E>
void feed_forward_training_backward(const TrainedFeedForward<S>& w, const FeedForwardShape<S>& shape, const Dropout& dropout,
                                    Rows<const S> x, FeedForwardRecord<S>& record, Rows<S> gradient,
                                    FeedForwardTrainingScratch<S>& scratch, E& executor) {
  const Index width = w.gate.weight.rows;
  const Rows<const S> inner = detail::gated_inner(shape.activation, record, x.rows, width, scratch, executor);
  if (record.of_down.size() < w.down.lora.size())  // gates were made again, down was not
    lora_products(inner, w.down, dropout, record.of_down, scratch.lora, executor);
  const Rows<S> dinner = scratch.dinner.rows(x.rows, width);  // [N, F]
  linear_training_backward(inner, Rows<const S>(gradient), w.down, dropout, record.of_down, dinner, Write::replace,
                           scratch.lora, executor);

  const Rows<S> dgate = record.gate.rows(x.rows, width), dup = record.up.rows(x.rows, width);
  with_activation(shape.activation, [&]<class Activation>() {
    gated_product_backward<Activation>(dgate, dup, Rows<const S>(dinner), executor);
  });

  const Rows<S> normed = scratch.normed.rows(x.rows, x.cols), dnormed = scratch.dnormed.rows(x.rows, x.cols);
  rms_norm(x, w.norm.gain->data(), shape.norm_epsilon, normed, executor);
  linear_training_backward(Rows<const S>(normed), Rows<const S>(dgate), w.gate, dropout, record.of_gate, dnormed,
                           Write::replace, scratch.lora, executor);
  linear_training_backward(Rows<const S>(normed), Rows<const S>(dup), w.up, dropout, record.of_up, dnormed, Write::add,
                           scratch.lora, executor);
  if (w.norm.gradient != nullptr)
    rms_norm_gain_backward(x, shape.norm_epsilon, Rows<const S>(dnormed), w.norm.gradient->data(), executor);
  rms_norm_backward(x, w.norm.gain->data(), shape.norm_epsilon, Rows<const S>(dnormed), gradient, executor);
}

}  // namespace embedpool
