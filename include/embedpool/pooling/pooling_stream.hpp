#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/parallel_guarded.hpp"
#include "embedpool/core/serial_products.hpp"
#include "embedpool/pooling/calibration.hpp"
#include "embedpool/pooling/heads/prepared_head.hpp"
#include "embedpool/pooling/key_layout.hpp"
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
/// Order   each text's result is computed by one job in an order that depends on the text alone: bit-identical in any
///         batch, for any number of threads. Keys begin at multiples of 64 bytes for that reason too: how vectorised
///         sums are split can depend on the address
/// Errors  ShapeError for a layer that is not wanted, comes twice, is missing at finish, or does not fit the batch
/// Requires  params, segments, calibration and executor outlive the stream
template <Real S, class Pooling, Executor E>
class PoolingStream {
 public:
  using Params = typename Pooling::template Params<S>;
  using Cache = typename Pooling::Head::template Cache<S>;

  PoolingStream(const Pooling& pooling, const Params& params, const Segments& segments, Index layers, Index width,
                E& executor, const Calibration<S>* calibration, KeepForBackward keep)
      : pooling_(pooling),
        params_(&params),
        segments_(&segments),
        executor_(&executor),
        calibration_(calibration),
        layers_(layers),
        width_(width),
        keep_(keep == KeepForBackward::yes),
        layout_(pooling.tokens, segments, pooling.layers.count(layers)),
        embeddings_(segments.size(), pooling.head.output_width(width)),
        pushed_(static_cast<std::size_t>(layers + 1), false) {
    if (calibration_) calibration_->check(pooling_.slots(layers), width);
    if constexpr (requires { pooling_.head.check(params, width, Index(1)); })
      pooling_.head.check(params, width, pooling_.slots(layers));
    const SerialProducts serial;
    if (!keep_) prepared_ = prepare_head<S>(pooling_.head, params);
    immediate_ = !keep_ && pooling_.layers.count(layers) == 1 && keys_are_rows(pooling_.tokens);
    caches_.resize(static_cast<std::size_t>(keep_ ? segments.size() : executor.workers()));
    if (!immediate_) keys_ = padded_rows(key_memory_, layout_.rows());
    scratch_.resize(static_cast<std::size_t>(immediate_ ? executor.workers() : 0));
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
    *seen = true;
    const Index layer_slot = pooling_.layers.slot(layer, layers_);
    parallel_guarded(*executor_, segments_->size(), [&](Index b, Index worker) {
      const TextStates<T> text = states.text(b);
      if (immediate_) return embed(b, worker, rows_as_keys(text, b, worker));
      const Rows<S> keys = layer_keys(keys_, b, layer_slot);
      pooling_.tokens.read(text, keys);
      if (calibration_) calibration_->forward(layout_.kinds(b, layer_slot), keys);
    });
  }

  /// The embeddings [B, width]. Heads run on `executor`, a text a job.
  template <Executor F>
  Matrix<S> finish(F& executor) {
    for (Index layer = 0; layer <= layers_; ++layer)
      if (wants(layer) && !pushed_[static_cast<std::size_t>(layer)])
        throw ShapeError("Pooling: layer " + std::to_string(layer) + " of " + std::to_string(layers_) +
                         " was never pushed");
    if (finished_) throw ShapeError("Pooling: finish was called twice");
    finished_ = true;
    if (immediate_) return std::move(embeddings_);
    if (!keep_) caches_.resize(static_cast<std::size_t>(executor.workers()));
    parallel_guarded(executor, segments_->size(), [&](Index b, Index worker) { embed(b, worker, text_keys(keys_, b)); });
    return std::move(embeddings_);
  }
  Matrix<S> finish() { return finish(*executor_); }

  /// From the gradient de [B, width] of the embeddings: dparams += its gradient, and the gradient of every key, which
  /// backward_layer hands on. Texts are summed in an order that depends on B and the size of the head alone.
  /// Requires  a stream made with KeepForBackward::yes, finished
  template <Executor F>
  void backward(Rows<const S> de, Params& dparams, F& executor) {
    if (!keep_ || !finished_)
      throw ShapeError("Pooling: backward needs a finished stream that was made with KeepForBackward::yes");
    require_equal("Pooling: backward", "rows of de", de.rows, segments_->size());
    require_equal("Pooling: backward", "columns of de", de.cols, pooling_.head.output_width(width_));
    dkeys_ = padded_rows(dkey_memory_, layout_.rows());
    std::fill_n(dkeys_.data, dkeys_.rows * dkeys_.stride, S(0));
    const Index groups = std::min(segments_->size(), gradient_groups(dparams));
    std::vector<Params> partial(static_cast<std::size_t>(groups), zeros_like(dparams));
    parallel_guarded(executor, groups, [&](Index group, Index) {
      const SerialProducts serial;
      const Index end = (group + 1) * segments_->size() / groups;
      for (Index b = group * segments_->size() / groups; b < end; ++b) {
        const RowVector<S> de_b = as_eigen(de.middle_rows(b, 1));
        pooling_.head.backward(*params_, text_keys(std::as_const(keys_), b), caches_[static_cast<std::size_t>(b)], de_b,
                               partial[static_cast<std::size_t>(group)], rows_of_text(dkeys_, b));
        if (calibration_) calibration_->backward(layout_.kinds(b), rows_of_text(dkeys_, b));
      }
    });
    for (Params& part : partial) add(part, dparams);
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
    executor.parallel_for(segments_->size(), [&](Index b, Index) {
      const Index first = states.selection->first_row(b);
      pooling_.tokens.backward(states.text(b), Rows<const S>(layer_keys(dkeys_, b, layer_slot)),
                               dstates.middle_rows(first, states.selection->held(b).size()));
    });
  }

  /// How many keys are stored: none for keys that go straight to the head.
  Index stored_keys() const noexcept { return keys_.rows; }
  /// The keys of text b after finish, calibrated, layer by layer; empty unless the stream stores them.
  Keys<S> keys(Index b) const noexcept {
    return immediate_ ? Keys<S>{} : text_keys(std::as_const(keys_), b);
  }

 private:
  static constexpr Index alignment = 64 / static_cast<Index>(sizeof(S));

  Rows<S> padded_rows(AlignedBuffer<S>& memory, Index rows) const {
    const Index stride = (width_ + alignment - 1) / alignment * alignment;
    return {memory.reserve(rows * stride), rows, width_, stride};
  }
  Rows<S> rows_of_text(Rows<S> rows, Index b) const noexcept {
    return rows.middle_rows(layout_.first_key(b), layout_.keys(b));
  }
  Rows<S> layer_keys(Rows<S> rows, Index b, Index layer_slot) const noexcept {
    return rows.middle_rows(layout_.first_key(b, layer_slot), layout_.keys_per_layer(b));
  }
  Keys<S> text_keys(Rows<S> rows, Index b) const noexcept { return {rows_of_text(rows, b), layout_.kinds(b)}; }

  /// The rows themselves where the head can take them as they are, else read and calibrated into the worker's scratch.
  template <Element T>
  Keys<S> rows_as_keys(const TextStates<T>& text, Index b, Index worker) {
    if constexpr (std::same_as<T, S>) {
      if (text.is_packed() && !calibration_) {
        const Interval needed = reads(text.shape());
        const Rows<const S> rows = text.packed().middle_rows(needed.begin - text.held().begin, needed.size());
        const bool aligned = reinterpret_cast<std::uintptr_t>(rows.data) % 64 == 0 && rows.stride % alignment == 0;
        if (aligned) return {rows, layout_.kinds(b)};
      }
    }
    const Rows<S> rows = padded_rows(scratch_[static_cast<std::size_t>(worker)], layout_.keys(b));
    pooling_.tokens.read(text, rows);
    if (calibration_) calibration_->forward(layout_.kinds(b), rows);
    return {rows, layout_.kinds(b)};
  }

  void embed(Index b, Index worker, const Keys<S>& keys) {
    Cache& cache = caches_[static_cast<std::size_t>(keep_ ? b : worker)];
    const SerialProducts serial;
    const RowVector<S> embedding = keep_ ? pooling_.head.forward(*params_, keys, cache)
                                         : forward_prepared<S>(pooling_.head, *params_, prepared_, keys, cache);
    require_equal("Pooling: head", "width of the embedding", embedding.cols(), embeddings_.cols());
    embeddings_.row(b) = embedding;
  }

  /// Texts are shared among this many sums of gradients: not too many copies of a large head.
  static Index gradient_groups(Params& params) {
    Index values = 0;
    Pooling::Head::for_each(params, [&](auto&&, auto& tensor) { values += tensor.size(); });
    return values <= (Index(1) << 22) ? 8 : 1;
  }
  static Params zeros_like(const Params& params) {
    Params zeros = params;
    Pooling::Head::for_each(zeros, [](auto&&, auto& tensor) { tensor.setZero(); });
    return zeros;
  }
  static void add(Params& part, Params& sum) {
    std::vector<Matrix<S>*> parts;
    Pooling::Head::for_each(part, [&](auto&&, Matrix<S>& tensor) { parts.push_back(&tensor); });
    std::size_t i = 0;
    Pooling::Head::for_each(sum, [&](auto&&, Matrix<S>& tensor) { tensor += *parts[i++]; });
  }

  Pooling pooling_;
  const Params* params_;
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
  PreparedOf<S, typename Pooling::Head> prepared_{};  // empty in training: forward fills the caches
  std::vector<Cache> caches_;                // one a text in training, else one a worker
  std::vector<AlignedBuffer<S>> scratch_;    // one a worker
  AlignedBuffer<S> key_memory_, dkey_memory_;
  Rows<S> keys_, dkeys_;
};

}  // namespace embedpool
