#pragma once
#include <concepts>
#include <span>

#include "embedpool/core/executor.hpp"
#include "embedpool/core/layer_states.hpp"
#include "embedpool/core/matrix.hpp"

namespace embedpool {

/// Which layers a pooling reads. Layers are numbered as in `hidden_states` of Hugging Face: 0 the embedding output,
/// 1..L-1 the residual stream after each block, L the last block after the final norm.
///
/// Beyond the syntax, with L = `layers` a model promises that
///   - count(L) layers in [0, L] are wanted, and slot(k, L) numbers them 0, 1, ... count - 1 in rising order of k;
///   - check(L) throws ShapeError when the model has too few layers.
template <class P>
concept LayersPolicy = std::copyable<P> && requires(const P policy, Index layer, Index layers) {
  { policy.check(layers) } -> std::same_as<void>;
  { policy.count(layers) } -> std::same_as<Index>;
  { policy.wants(layer, layers) } -> std::same_as<bool>;
  { policy.slot(layer, layers) } -> std::same_as<Index>;
};

/// Which rows of a layer become keys, and how: last token, mean, all tokens, several of them at once ...
///
/// Beyond the syntax, a model promises that
///   - `slots()` is how many kinds of keys a layer gives; calibration and layer tables have a row for each kind;
///   - a text gives keys(shape) >= 1 key rows, row k of kind slot(k, shape);
///   - reads(shape) holds every token that `read` looks at (a backbone may skip the others in its last layer);
///   - read writes every value of out [keys, D]; backward *adds* the gradient of the rows that were read to dstates,
///     whose row t - states.held().begin belongs to token t;
///   - check(shape) throws ShapeError when the text has no row to read (nothing is left after an exclusion);
///   - `read` takes states of any Element type that will be pushed (make it a template).
/// It may also have keys_are_rows() -> bool: its keys are the rows of reads(shape) unchanged and in order, so that a
/// pooling of one layer hands them to its head without a copy.
template <class P, class S>
concept TokensPolicy = std::copyable<P> && Real<S> &&
    requires(const P policy, Index k, const TextShape& shape, const TextStates<S>& states, Rows<S> out,
             Rows<const S> dout) {
      { policy.check(shape) } -> std::same_as<void>;
      { policy.slots() } -> std::same_as<Index>;
      { policy.keys(shape) } -> std::same_as<Index>;
      { policy.slot(k, shape) } -> std::same_as<Index>;
      { policy.reads(shape) } -> std::same_as<Interval>;
      { policy.read(states, out) } -> std::same_as<void>;
      { policy.backward(states, dout, out) } -> std::same_as<void>;
    };

/// The keys of one text: row k is a [D] vector of kind slot[k], layer by layer. A layer table or a mix has one row or
/// weight for each of `slots` kinds (layers read x kinds a layer gives).
template <Real S>
struct Keys {
  Rows<const S> rows;
  std::span<const Index> slot;
};

/// A head turns the keys of one text into its embedding, and back.
///
/// Beyond the syntax, a model promises that
///   - Params is also the type of its gradient and of the optimiser's moments; the static for_each(params, f) calls
///     f(name, Matrix<S>&) for every tensor, in a fixed order;
///   - init(D, slots) gives parameters of the right shapes; output_width(D) values come out;
///   - backward *adds* to dw and dkeys [keys, D]; what it needs of forward is in Cache; policies are immutable while
///     used, so threads share them.
/// It may also have check(params, D, slots), which throws ShapeError when parameters do not fit.
template <class H, class S>
concept HeadPolicy = Real<S> && std::default_initializable<typename H::template Params<S>> &&
    std::default_initializable<typename H::template Cache<S>> &&
    requires(const H head, const typename H::template Params<S>& w, typename H::template Params<S>& dw,
             const Keys<S>& keys, typename H::template Cache<S>& cache, const RowVector<S>& de, Rows<S> dkeys) {
      { head.forward(w, keys, cache) } -> std::same_as<RowVector<S>>;
      { head.backward(w, keys, cache, de, dw, dkeys) } -> std::same_as<void>;
      { head.output_width(Index(1)) } -> std::same_as<Index>;
    };

/// What a backbone of L layers pushes its states into, layer after layer, each as soon as it exists.
///
/// Beyond the syntax, a model promises that
///   - states of layers k with wants(k) are read during push and not kept;
///   - a backbone may stop after last_layer(), and there may push only the tokens in reads(shape).
template <class K, class T>
concept LayerSink = Element<T> && requires(K sink, Index layer, const TextShape& shape, const LayerStates<T>& states) {
  { sink.last_layer() } -> std::convertible_to<Index>;
  { sink.wants(layer) } -> std::convertible_to<bool>;
  { sink.reads(shape) } -> std::same_as<Interval>;
  { sink.push(layer, states) } -> std::same_as<void>;
};

/// A LayerSink that also has the way back: dstates += the gradient of layer k's states, as PoolingStream does.
template <class K, class S>
concept TrainableSink = LayerSink<K, S> &&
    requires(K sink, Index layer, const LayerStates<S>& states, Rows<S> dstates, SerialExecutor executor) {
      { sink.backward_layer(layer, states, dstates, executor) } -> std::same_as<void>;
    };

}  // namespace embedpool
