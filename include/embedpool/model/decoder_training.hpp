#pragma once
#include <algorithm>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "embedpool/model/stored_pairs.hpp"
#include "embedpool/model/trained_block.hpp"
#include "embedpool/model/trained_tokens.hpp"
#include "embedpool/nn/embedding_backward.hpp"

namespace embedpool {

/// A training pass of a decoder with LoRA, forward and back: x_l as Decoder::forward has it, every linear map with its
/// pairs, unmerged. Keep one and pass it every batch: its memory is used again.
///
///   forward(model, batch, mask, sink, ...)      pushes the layers that the sink wants
///   ...                                         the sink's embeddings, their loss, its gradient into the sink's backward
///   backward(model, batch, mask, sink, ...)     adds to model.gradients, from the last layer that the sink reads down
///                                               to the lowest that has something trained
///
/// Blocks below the lowest trained one run as in inference and keep nothing. The last `kept_blocks` others keep what
/// backward reads; those before them keep their input alone, and are computed again on the way back. A beginning that the
/// texts share under the mask (shared_prefix) goes through the model once, there and back, unless dropout treats the texts
/// differently.
///
/// Memory  D values a token and block, and 2 (NH + NKV) d + D + 2 F more in blocks that keep everything (less 2 NKV d,
///         and (NH + NKV) d more with q/k norms), plus 7 r of each adapter
/// Order   gradients have the same bits for any executor
/// Errors  ShapeError for a mixture of experts, an adapter that does not fit, ids outside the vocabulary
template <Real S>
class DecoderTraining {
 public:
  static constexpr Index every_block = std::numeric_limits<Index>::max();

  explicit DecoderTraining(Index kept_blocks = every_block) : kept_blocks_(kept_blocks) {}

  template <MaskPolicy M, TrainableSink<S> Sink, Executor E>
  void forward(const TrainedDecoder<S>& model, const Batch& batch, const M& mask, Sink& sink, E& executor,
               const DropoutKey& dropout = {}, LastState last_state = LastState::normalized) {
    keeps_inputs_ = true;
    run(model, batch, mask, sink, executor, dropout, last_state);
  }

  /// The same without keeping anything for backward: the first pass of a gradient cache. Any sink will do.
  template <MaskPolicy M, LayerSink<S> Sink, Executor E>
  void forward_only(const TrainedDecoder<S>& model, const Batch& batch, const M& mask, Sink& sink, E& executor,
                    const DropoutKey& dropout = {}, LastState last_state = LastState::normalized) {
    keeps_inputs_ = false;
    run(model, batch, mask, sink, executor, dropout, last_state);
    lowest_ = last_ + 1;  // there is nothing to go back to
  }

  /// Requires  the arguments of forward, whose last call this was; the sink's own backward has run
  template <MaskPolicy M, TrainableSink<S> Sink, Executor E>
  void backward(const TrainedDecoder<S>& model, const Batch& batch, const M& mask, Sink& sink, E& executor) {
    if (lowest_ > last_) return;  // nothing trained lies below what was read
    const DecoderConfig& config = model.decoder.config();
    const Segments& segments = batch.segments();
    Rows<S> gradient = gradient_.rows(tokens_.held().rows(), config.width);
    backward_last(model, sink, gradient, executor);
    for (Index layer = last_; layer >= std::max<Index>(lowest_, 1); --layer) {
      const TrainedBlock<S> block = trained_block(model, layer, pairs_.pairs(), pairs_.gradients());
      const auto at = context(segments, mask, layer);
      Record& record = record_of(layer);
      if (!keeps(layer)) block_begin(model, block, at, layer, record, executor);
      const Rows<S> x = input(layer).rows(tokens_.held().rows(), config.width);
      const Rows<const S> middle = record.middle.rows(at.queries.rows(), config.width);
      feed_forward_training_backward(block.feed_forward, detail::feed_forward_shape<S>(config), at.asking, middle,
                                     record.feed_forward, gradient.middle_rows(0, middle.rows), feed_forward_scratch_,
                                     executor);
      const bool goes_on = layer > lowest_;
      self_attention_training_backward(block.attention, detail::attention_shape<S>(config), at, Rows<const S>(x),
                                       record.attention, gradient, goes_on, attention_scratch_, executor);
      if (goes_on && sink.wants(layer - 1)) tokens_.backward(sink, layer - 1, false, x, gradient, executor);
    }
    if (lowest_ == 0)
      if (Matrix<S>* table = model.gradients->find({DecoderTensor::embedding}))
        embedding_backward(std::span<const TokenId>(tokens_.ids(batch)), static_cast<S>(config.embedding_scale),
                           Rows<const S>(gradient), *table, executor);
    pairs_.return_gradients(model);
  }

 private:
  template <MaskPolicy M, LayerSink<S> Sink, Executor E>
  void run(const TrainedDecoder<S>& model, const Batch& batch, const M& mask, Sink& sink, E& executor,
           const DropoutKey& dropout, LastState last_state) {
    detail::check_trained(model);
    const DecoderConfig& config = model.decoder.config();
    const Segments& segments = batch.segments();
    last_ = sink.last_layer();
    require_in("DecoderTraining", "last layer", last_, 0, config.layers);
    lowest_ = detail::lowest_trained(model);
    normalize_ = last_ == config.layers && last_state == LastState::normalized;
    tokens_.choose(batch, mask, sink, dropout.rate <= 0);
    every_token_ = Dropout(dropout, segments, tokens_.held());
    asking_ = Dropout(dropout, segments, tokens_.asked());
    rotary_ = &workspace_.rotary(config.inverse_frequencies, segments.longest());
    pairs_.take(model);

    // Pairs of an adapter change a block even where they are frozen: only blocks without any run as in inference.
    first_ = lowest_;
    for (const auto& entry : model.adapter.entries) first_ = std::min(first_, entry.place.layer + 1);
    first_ = std::clamp<Index>(first_, 1, last_ + 1);
    inputs_.resize(static_cast<std::size_t>(config.layers) + 2);
    records_.resize(static_cast<std::size_t>(config.layers) + 1);
    if (first_ > last_ && last_ > 0) return model.decoder.forward(batch, mask, sink, workspace_, executor, last_state);
    LayersBelow<S, Sink> below{sink, first_ - 1, tokens_.held(), input(first_)};
    model.decoder.forward(batch, mask, below, workspace_, executor, LastState::raw);
    for (Index layer = first_; layer <= last_; ++layer) {
      const TrainedBlock<S> block = trained_block(model, layer, pairs_.pairs(), {});
      const auto at = context(segments, mask, layer);
      Record& record = record_of(layer);
      block_begin(model, block, at, layer, record, executor);
      const Rows<S> x = input(layer + 1).rows(at.queries.rows(), config.width);
      std::copy_n(record.middle.data(), x.rows * x.cols, x.data);
      feed_forward_training_down(block.feed_forward, detail::feed_forward_shape<S>(config), at.asking, x,
                                 record.feed_forward, feed_forward_scratch_, executor);
      if (sink.wants(layer)) tokens_.push(sink, layer, layer == last_, state(model, layer, executor), executor);
    }
  }

  struct Record {
    AlignedBuffer<S> middle{};  ///< [rows, D] between the halves
    SelfAttentionRecord<S> attention{};
    FeedForwardRecord<S> feed_forward{};
  };

  template <MaskPolicy M>
  TrainingContext<S, M> context(const Segments& segments, const M& mask, Index layer) const {
    const bool is_last = layer == last_;
    const RowSelection& held = tokens_.held();
    return {mask, segments, held, is_last ? tokens_.asked() : held, *rotary_, every_token_, is_last ? asking_ : every_token_};
  }
  /// The input of block `layer`; two in turn where nothing is kept.
  AlignedBuffer<S>& input(Index layer) { return inputs_[static_cast<std::size_t>(keeps_inputs_ ? layer : layer % 2)]; }
  bool keeps(Index layer) const noexcept { return keeps_inputs_ && layer >= lowest_ && last_ - layer < kept_blocks_; }
  Record& record_of(Index layer) { return keeps(layer) ? records_[static_cast<std::size_t>(layer)] : shared_; }

  /// Everything of a block but its last map: the attention half, gate and up.
  template <MaskPolicy M, Executor E>
  void block_begin(const TrainedDecoder<S>& model, const TrainedBlock<S>& block, const TrainingContext<S, M>& at, Index layer,
                   Record& record, E& executor) {
    const DecoderConfig& config = model.decoder.config();
    const Rows<S> middle = record.middle.rows(at.queries.rows(), config.width);
    self_attention_training_forward(block.attention, detail::attention_shape<S>(config), at,
                                    Rows<const S>(input(layer).rows(tokens_.held().rows(), config.width)), middle,
                                    record.attention, attention_scratch_, executor);
    feed_forward_training_gates(block.feed_forward, detail::feed_forward_shape<S>(config), at.asking, Rows<const S>(middle),
                                record.feed_forward, feed_forward_scratch_, executor);
  }

  /// What layer `layer` of the model is: the input of the block above, or the last one after the final norm.
  template <Executor E>
  Rows<S> state(const TrainedDecoder<S>& model, Index layer, E& executor) {
    const DecoderConfig& config = model.decoder.config();
    const Index rows = layer == last_ ? tokens_.asked().rows() : tokens_.held().rows();
    const Rows<S> x = input(layer + 1).rows(rows, config.width);
    if (layer != last_ || !normalize_) return x;
    const Rows<S> out = normed_.rows(rows, config.width);
    rms_norm(Rows<const S>(x), model.decoder.weights().final_norm.data(), static_cast<S>(config.norm_epsilon), out, executor);
    return out;
  }

  /// The gradient of the last layer's raw states, in the first rows of `gradient`.
  template <class Sink, Executor E>
  void backward_last(const TrainedDecoder<S>& model, Sink& sink, Rows<S> gradient, E& executor) {
    const DecoderConfig& config = model.decoder.config();
    const bool pruned = last_ > 0;
    const Rows<S> top = gradient.middle_rows(0, pruned ? tokens_.asked().rows() : gradient.rows);
    std::fill_n(top.data, top.rows * top.cols, S(0));
    if (!sink.wants(last_)) return;
    const Rows<S> x = input(last_ + 1).rows(top.rows, config.width);
    if (!normalize_) return tokens_.backward(sink, last_, pruned, x, top, executor);

    const Rows<S> dnormed = dnormed_.rows(top.rows, top.cols), normed = normed_.rows(top.rows, top.cols);
    std::fill_n(dnormed.data, dnormed.rows * dnormed.cols, S(0));
    tokens_.backward(sink, last_, pruned, normed, dnormed, executor);
    const auto epsilon = static_cast<S>(config.norm_epsilon);
    rms_norm_backward(Rows<const S>(x), model.decoder.weights().final_norm.data(), epsilon, Rows<const S>(dnormed), top,
                      executor);
    if (Matrix<S>* gain = model.gradients->find({DecoderTensor::final_norm}))
      rms_norm_gain_backward(Rows<const S>(x), epsilon, Rows<const S>(dnormed), gain->data(), executor);
  }

  Index kept_blocks_;
  Index last_ = 0;    ///< last layer that is read
  Index lowest_ = 0;  ///< lowest block that has something trained; 0: the embedding table
  Index first_ = 1;   ///< lowest block that runs with LoRA or keeps something
  bool normalize_ = false;
  bool keeps_inputs_ = true;
  TrainedTokens<S> tokens_;
  Dropout every_token_, asking_;
  const RotaryTable<S>* rotary_ = nullptr;
  DecoderWorkspace<S> workspace_;
  std::vector<AlignedBuffer<S>> inputs_;  ///< see input(); that of block last + 1 is the last output
  std::vector<Record> records_;
  Record shared_;  ///< of every block that keeps its input alone
  SelfAttentionTrainingScratch<S> attention_scratch_;
  FeedForwardTrainingScratch<S> feed_forward_scratch_;
  AlignedBuffer<S> normed_, dnormed_, gradient_;
  StoredPairs<S> pairs_;
};

}  // namespace embedpool
