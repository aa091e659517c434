#pragma once
#include <algorithm>
#include <optional>
#include <vector>

#include "embedpool/model/shared_prefix.hpp"
#include "embedpool/nn/selected_rows_training.hpp"
#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Which tokens of a batch a training pass computes, and the way between them and those that its sink reads: a beginning
/// that the texts share has rows in the first text alone, and its gradient is the sum over all texts.
template <Real S>
class TrainedTokens {
 public:
  /// A new batch, which must live as long as its pass; memory is used again. `may_share` false: every token of every text is
  /// computed, as dropout asks for, which treats the texts differently.
  template <MaskPolicy M, LayerSink<S> Sink>
  void choose(const Batch& batch, const M& mask, const Sink& sink, bool may_share) {
    segments_ = &batch.segments();
    all_.emplace(RowSelection::all(*segments_));
    read_.emplace(*segments_, [&](const TextShape& shape) { return sink.reads(shape); });
    computed_.emplace(*segments_, may_share ? shared_prefix(batch, mask) : 0);
    asked_.emplace(computed_->giving(*read_, *segments_));
  }

  const RowSelection& held() const noexcept { return computed_->selection(); }  ///< the tokens of every block but the last
  const RowSelection& asked() const noexcept { return *asked_; }  ///< those that the last block gives

  /// The ids of the tokens in held().
  std::vector<TokenId> ids(const Batch& batch) const {
    std::vector<TokenId> ids;
    for (Index b = 0; b < held().texts(); ++b) {
      const auto text = batch.ids().begin() + segments_->offset(b);
      ids.insert(ids.end(), text + held().held(b).begin, text + held().held(b).end);
    }
    return ids;
  }

  /// Pushes a layer's states of the tokens that the sink reads: all, or with `pruned` what it asked for of the last layer.
  ///
  /// Shapes  x packed by held(), pruned by asked()
  template <LayerSink<S> Sink, Executor E>
  void push(Sink& sink, Index layer, bool pruned, Rows<S> x, E& executor) {
    const RowSelection& read = pruned ? *read_ : *all_;
    const Rows<S> states = computed_->rows_of(read, pruned ? asked() : held(), x, repeated_, executor);
    sink.push(layer, LayerStates<S>{states, segments_, &read});
  }

  /// dx += the sink's gradient of a layer that push gave it.
  template <class Sink, Executor E>
  void backward(Sink& sink, Index layer, bool pruned, Rows<S> x, Rows<S> dx, E& executor) {
    const RowSelection& read = pruned ? *read_ : *all_;
    const RowSelection& packed = pruned ? asked() : held();
    const Rows<S> states = computed_->rows_of(read, packed, x, repeated_, executor);
    if (!computed_->shares()) return sink.backward_layer(layer, LayerStates<S>{states, segments_, &read}, dx, executor);
    const Rows<S> dstates = drepeated_.rows(states.rows, states.cols);
    std::fill_n(dstates.data, dstates.rows * dstates.cols, S(0));
    sink.backward_layer(layer, LayerStates<S>{states, segments_, &read}, dstates, executor);
    computed_->add_rows_of(read, packed, Rows<const S>(dstates), dx, executor);
  }

 private:
  const Segments* segments_ = nullptr;
  std::optional<RowSelection> all_, read_;
  std::optional<ComputedTokens> computed_;
  std::optional<RowSelection> asked_;
  AlignedBuffer<S> repeated_, drepeated_;  ///< of the tokens that the sink reads, where texts share some
};

/// The sink of blocks that run as in inference: hands their layers on, and keeps the last, the first trained block's input.
template <Real S, LayerSink<S> Sink>
struct LayersBelow {
  Sink& sink;
  Index last;
  const RowSelection& held;  ///< the tokens that are kept
  AlignedBuffer<S>& kept;

  Index last_layer() const noexcept { return last; }
  bool wants(Index layer) const noexcept { return layer == last || sink.wants(layer); }
  Interval reads(const TextShape& shape) const noexcept { return {0, shape.tokens}; }
  void push(Index layer, const LayerStates<S>& states) {
    if (layer == last) gather_rows(states.buffer, *states.selection, held, kept.rows(held.rows(), states.buffer.cols));
    if (sink.wants(layer)) sink.push(layer, states);
  }
};

}  // namespace embedpool
