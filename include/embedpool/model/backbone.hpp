#pragma once
#include <concepts>

#include "embedpool/attention/mask.hpp"
#include "embedpool/core/batch.hpp"
#include "embedpool/core/executor.hpp"
#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// What layer L holds: the state after the final norm, as `hidden_states` of Hugging Face has it, or the raw residual
/// stream after the last block, as some engines and papers read it.
enum class LastState { normalized, raw };

/// The least that a sink can be; Backbone is checked with it.
template <Element T>
struct NullSink {
  Index last_layer() const noexcept { return 0; }
  bool wants(Index) const noexcept { return false; }
  Interval reads(const TextShape& shape) const noexcept { return {0, shape.tokens}; }
  void push(Index, const LayerStates<T>&) const noexcept {}
};

/// A model that turns a batch of token ids into layers of states.
///
/// Beyond the syntax a model promises that
///   - forward pushes every layer k <= sink.last_layer() that sink.wants(k), in rising order, numbered 0..layers();
///   - it applies exactly the mask it is given, with any MaskPolicy, sink and executor;
///   - a text's states have the same bits in any batch, with any number of threads;
///   - trained_window() is the causal window the model was trained with, 0 without one;
///   - it is immutable in forward: callers with a workspace each may share it.
template <class B>
concept Backbone = Real<typename B::Scalar> && std::default_initializable<typename B::Workspace> &&
    requires(const B backbone, const Batch& batch, NullSink<typename B::Scalar> sink, typename B::Workspace workspace,
             SerialExecutor executor) {
      { backbone.layers() } -> std::convertible_to<Index>;
      { backbone.width() } -> std::convertible_to<Index>;
      { backbone.trained_window() } -> std::convertible_to<Index>;
      backbone.forward(batch, Causal{}, sink, workspace, executor, LastState::normalized);
    };

}  // namespace embedpool
