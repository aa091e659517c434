#pragma once
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/parallel_guarded.hpp"
#include "embedpool/pooling/calibration.hpp"
#include "embedpool/pooling/heads/batched_head.hpp"
#include "embedpool/pooling/key_layout.hpp"
#include "embedpool/pooling/key_rows.hpp"
#include "embedpool/pooling/require_layer_slots.hpp"
#include "embedpool/pooling/require_pushable.hpp"
#include "embedpool/pooling/tokens/all_tokens.hpp"

namespace embedpool {

/// Whether a stream keeps what backward needs: every key, and every text's Cache.
enum class KeepForBackward : bool { no, yes };

/// One batch on its way through a pooling: a LayerSink for states of any element type, then the embeddings, and in
/// training the gradients on their way back. Made by Pooling::stream.
///
///   push(layer, states)                 for every layer that wants(layer) names, in any order
///   finish(executor) -> [B, width]
///   backward(de, dparams, executor)     then backward_layer(layer, states, dstates, executor) as the backbone's
///                                       backward pass comes to each layer
///
/// Memory  B x slots x D keys for readers that reduce a text, whatever the length of the texts. Keys that are the
///         rows of one layer unchanged (AllTokens) go straight to the head during push and are not stored
/// Order   each text's result is computed in an order that depends on the text alone: bit-identical in any batch, for
///         any number of threads. Keys begin at multiples of 64 bytes for that reason too: how vectorised
///         sums are split can depend on the address
/// Errors  ShapeError for a layer that is not wanted, comes twice, is missing at finish, or does not fit the batch; what the
///         reader throws, after which the layer may be pushed again
/// Requires  params, segments, calibration, executor and prepared work that is given outlive the stream
template <Real S, class Pooling, Executor E>
class PoolingStream {
 public:
  using Params = typename Pooling::template Params<S>;
  using Head = typename Pooling::Head;
  using Prepared = PreparedOf<S, Head>;

  PoolingStream(const Pooling& pooling, const Params& params, const Segments& segments, Index layers, Index width,
                E& executor, const Calibration<S>* calibration, KeepForBackward keep,
                const Prepared* prepared = nullptr)
      : pooling_(pooling),
        params_(&params),
        given_(prepared),
        segments_(&segments),
        executor_(&executor),
        calibration_(calibration),
        layers_(layers),
        width_(width),
        keep_(keep == KeepForBackward::yes),
        layout_(pooling.tokens, segments, pooling.layers.count(layers)),
        embeddings_(segments.size(), pooling.head.output_width(width)),
        pushed_(static_cast<std::size_t>(layers + 1), false) {
    require_layer_slots(pooling_.layers, layers);
    if (calibration_) calibration_->check(pooling_.slots(layers), width);
    if constexpr (requires { pooling_.head.check(params, width, Index(1)); })
      pooling_.head.check(params, width, pooling_.slots(layers));
    if (given_ == nullptr) prepared_ = pooling_.template prepare<S>(params, executor);
    immediate_ = !keep_ && pooling_.layers.count(layers) == 1 && keys_are_rows(pooling_.tokens);
    if (!immediate_) keys_ = key_rows(key_memory_, layout_.rows(), width_);
  }

  // LayerSink
  Index last_layer() const noexcept {
    Index last = layers_;
    while (last > 0 && !wants(last)) --last;
    return last;
  }
  bool wants(Index layer) const noexcept { return pooling_.layers.wants(layer, layers_); }
  Interval reads(const TextShape& shape) const noexcept { return pooling_.tokens.reads(shape); }

  template <Element T>
  void push(Index layer, const LayerStates<T>& states) {
    require_pushable("Pooling", *this, layer, layers_, width_, *segments_, states);
    const auto seen = pushed_.begin() + layer;
    if (*seen) throw ShapeError("Pooling: layer " + std::to_string(layer) + " was pushed twice");
    if (immediate_)
      embed_rows(states);
    else
      keep_keys(pooling_.layers.slot(layer, layers_), states);
    *seen = true;  // a reader may throw
  }

  /// The embeddings [B, width]. Heads run on `executor`, all texts together where the head can.
  template <Executor F>
  Matrix<S> finish(F& executor) {
    for (Index layer = 0; layer <= layers_; ++layer)
      if (wants(layer) && !pushed_[static_cast<std::size_t>(layer)])
        throw ShapeError("Pooling: layer " + std::to_string(layer) + " of " + std::to_string(layers_) +
                         " was never pushed");
    if (finished_) throw ShapeError("Pooling: finish was called twice");
    finished_ = true;
    if (immediate_) return std::move(embeddings_);
    const std::vector<Keys<S>> texts = all_keys();
    if (keep_)
      forward_all_kept<S>(pooling_.head, *params_, prepared(), texts, kept_, rows_of(embeddings_),
                          ExecutorRef(executor));
    else
      forward_all<S>(pooling_.head, *params_, prepared(), texts, batch_, rows_of(embeddings_), ExecutorRef(executor));
    return std::move(embeddings_);
  }
  Matrix<S> finish() { return finish(*executor_); }

  /// From the gradient de [B, width] of the embeddings: dparams += its gradient, and the gradient of every key, which
  /// backward_layer hands on. Texts are summed in an order that depends on the batch and the size of the head alone.
  /// Requires  a stream made with KeepForBackward::yes, finished; once, what was kept is used up
  template <Executor F>
  void backward(Rows<const S> de, Params& dparams, F& executor) {
    PreparedGradientOf<S, Head> dprepared{};
    backward(de, dparams, dprepared, executor);
    pooling_.template chain<S>(*params_, prepared(), dprepared, dparams, executor);
  }
  /// The same, but the gradient of what the head prepared is added to `dprepared`: sum it over the streams of a step,
  /// all made with the same prepared work, and call Pooling::chain once.
  template <Executor F>
  void backward(Rows<const S> de, Params& dparams, PreparedGradientOf<S, Head>& dprepared, F& executor) {
    if (!keep_ || !finished_)
      throw ShapeError("Pooling: backward needs a finished stream that was made with KeepForBackward::yes");
    if (has_gradients_) throw ShapeError("Pooling: backward was called twice");
    require_equal("Pooling: backward", "rows of de", de.rows, segments_->size());
    require_equal("Pooling: backward", "columns of de", de.cols, pooling_.head.output_width(width_));
    dkeys_ = key_rows(dkey_memory_, layout_.rows(), width_);
    std::fill_n(dkeys_.data, dkeys_.rows * dkeys_.stride, S(0));
    std::vector<Rows<S>> dkeys;
    for (Index b = 0; b < segments_->size(); ++b) dkeys.push_back(layout_.text(dkeys_, b));
    backward_all<S>(pooling_.head, *params_, prepared(), all_keys(), kept_, de, dparams, dprepared, dkeys,
                    ExecutorRef(executor));
    if (calibration_)
      executor.parallel_for(segments_->size(),
                            [&](Index b, Index) { calibration_->backward(layout_.kinds(b), layout_.text(dkeys_, b)); });
    has_gradients_ = true;
  }

  /// dstates += the gradient of this layer's states, a row for each row of `states` as its selection packs them.
  /// `states` as push saw them (most readers look at nothing but their shapes).
  template <Element T, Executor F>
  void backward_layer(Index layer, const LayerStates<T>& states, Rows<S> dstates, F& executor) const {
    require_pushable("Pooling", *this, layer, layers_, width_, *segments_, states);
    require_equal("Pooling: backward_layer", "rows of dstates", dstates.rows, states.selection->rows());
    require_equal("Pooling: backward_layer", "columns of dstates", dstates.cols, width_);
    if (!has_gradients_) throw ShapeError("Pooling: backward_layer comes after backward");
    const Index layer_slot = pooling_.layers.slot(layer, layers_);
    parallel_guarded(executor, segments_->size(), [&](Index b, Index) {
      const Index first = states.selection->first_row(b);
      pooling_.tokens.backward(states.text(b), Rows<const S>(layout_.layer(dkeys_, b, layer_slot)),
                               dstates.middle_rows(first, states.selection->held(b).size()));
    });
  }

  /// How many keys are stored: none for keys that go straight to the head.
  Index stored_keys() const noexcept { return keys_.rows; }
  /// The keys of text b after finish, calibrated, layer by layer; empty unless the stream stores them.
  Keys<S> keys(Index b) const noexcept { return immediate_ ? Keys<S>{} : stored(b); }

 private:
  Keys<S> stored(Index b) const noexcept { return {layout_.text(keys_, b), layout_.kinds(b)}; }

  std::vector<Keys<S>> all_keys() const {
    std::vector<Keys<S>> texts;
    for (Index b = 0; b < segments_->size(); ++b) texts.push_back(stored(b));
    return texts;
  }
  const Prepared& prepared() const noexcept { return given_ ? *given_ : prepared_; }

  template <Element T>
  void keep_keys(Index layer_slot, const LayerStates<T>& states) {
    parallel_guarded(*executor_, segments_->size(), [&](Index b, Index) {
      const TextStates<T> text = states.text(b);
      const Rows<S> keys = layout_.layer(keys_, b, layer_slot);
      pooling_.tokens.read(text, keys);
      if (calibration_) calibration_->forward(layout_.kinds(b, layer_slot), keys);
    });
  }

  /// Some texts at a time, so that keys that must be copied take little room: their rows go to the head.
  template <Element T>
  void embed_rows(const LayerStates<T>& states) {
    constexpr Index rows_at_once = 2048;
    for (Index begin = 0, end; begin < segments_->size(); begin = end) {
      end = begin + 1;
      while (end < segments_->size() && layout_.first_key(end + 1) - layout_.first_key(begin) <= rows_at_once) ++end;
      std::vector<Keys<S>> texts(static_cast<std::size_t>(end - begin));
      scratch_.resize(std::max(scratch_.size(), texts.size()));
      parallel_guarded(*executor_, end - begin, [&](Index i, Index) {
        const auto at = static_cast<std::size_t>(i);
        texts[at] = keys_of_rows(pooling_.tokens, calibration_, states.text(begin + i), layout_.kinds(begin + i), scratch_[at]);
      });
      forward_all<S>(pooling_.head, *params_, prepared(), texts, batch_,
                     rows_of(embeddings_).middle_rows(begin, end - begin), ExecutorRef(*executor_));
    }
  }

  Pooling pooling_;
  const Params* params_;
  const Prepared* given_;  // prepared outside, or null
  const Segments* segments_;
  E* executor_;
  const Calibration<S>* calibration_;
  Index layers_;
  Index width_;
  bool keep_;
  bool immediate_ = false;
  bool finished_ = false;
  bool has_gradients_ = false;
  KeyLayout layout_;
  Matrix<S> embeddings_;
  std::vector<bool> pushed_;
  Prepared prepared_{};
  BatchOf<S, Head> batch_;                 // scratch of inference
  TrainingBatchOf<S, Head> kept_;          // what backward needs
  std::vector<AlignedBuffer<S>> scratch_;  // copied keys, one for each of the texts at once
  AlignedBuffer<S> key_memory_, dkey_memory_;
  Rows<S> keys_, dkeys_;
};

}  // namespace embedpool
