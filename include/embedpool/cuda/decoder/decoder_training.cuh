#pragma once
#include <limits>

#include "embedpool/cuda/decoder/attention_half_backward.cuh"
#include "embedpool/cuda/decoder/decoder.cuh"

namespace embedpool::cuda {

/// A DeviceLayerSink that also has the way back: dstates += the gradient of layer k's states.
template <class K>
concept TrainableDeviceSink = DeviceLayerSink<K> &&
    requires(K sink, Index layer, Rows<const float> states, const PackedTexts& texts, Rows<float> dstates) {
      { sink.backward_layer(layer, states, texts, dstates) } -> std::same_as<void>;
    };

/// DecoderTraining on a device: a frozen base in T, LoRA pairs unmerged. Keep one and pass it every batch.
///
///   forward(model, adapter, batch, mask, sink)    pushes the layers that the sink wants
///   ...                                           the sink's embeddings, their loss, its gradient into the sink's backward
///   backward(model, adapter, mask, sink)          adds to the adapter's gradients
///
/// The last `kept_blocks` blocks keep what backward reads; those before them keep their input alone and are computed again
/// on the way back.
///
/// Memory  4 D bytes a token and block, and with T of two bytes 4 D + 4 (NH + NKV) d + 4 F more in blocks that keep
///         everything
/// Errors  as DeviceDecoder::forward
/// Note    gradients between maps are in T, and nothing scales the loss: f16 makes those below 6e-8 zero, bf16 has float's
///         range
template <DeviceElement T, Device D>
class DeviceDecoderTraining {
 public:
  static constexpr Index every_block = std::numeric_limits<Index>::max();

  explicit DeviceDecoderTraining(Index kept_blocks = every_block) : kept_blocks_(kept_blocks) {}

  template <MaskPolicy M, DeviceLayerSink Sink>
  void forward(const DeviceDecoder<T, D>& model, const DeviceAdapter<T>& adapter, const Batch& batch, const M& mask, Sink& sink,
               const DropoutKey& dropout = {}, LastState last_state = LastState::normalized) {
    const DecoderConfig& config = model.config();
    D& device = model.device();
    last_ = sink.last_layer();
    require_in("DeviceDecoderTraining", "last layer", last_, 0, config.layers);
    lowest_ = adapter.lowest_block(last_ + 1);
    normalize_ = last_ == config.layers && last_state == LastState::normalized;
    const RowSelection read(batch.segments(), [&](const TextShape& shape) { return sink.reads(shape); });
    batch_.upload(device, config, batch, read);
    dropout_ = dropout;
    inputs_.resize(static_cast<std::size_t>(config.layers) + 2);
    records_.resize(static_cast<std::size_t>(config.layers) + 1);

    const PackedTexts& all = batch_.every().queries;
    const Rows<float> embedded = input(1).rows(device, all.rows, config.width);
    device.launch(EmbeddingGather<T>{model.weights().embedding(), batch_.ids(), static_cast<float>(config.embedding_scale), embedded});
    if (sink.wants(0)) sink.push(0, Rows<const float>(embedded), all);
    for (Index layer = 1; layer <= last_; ++layer) {
      const auto at = context(model, mask, layer);
      const auto pairs = DeviceBlockPairs<T>::of(adapter, layer);
      Record& record = record_of(layer);
      block_begin(model, pairs, at, layer, record);
      const Rows<float> x = input(layer + 1).rows(device, at.asking.rows, config.width);
      device.copy(x.data, record.middle.data(), x.rows * x.cols * Index(sizeof(float)));
      feed_forward_half_down(device, model.weights().block(layer), pairs, config.activation, at.asking_dropout, x,
                             record.feed_forward, feed_forward_scratch_);
      if (sink.wants(layer)) sink.push(layer, Rows<const float>(state(model, layer)), at.asking);
    }
  }

  /// Requires  the arguments of forward, whose last call this was; the sink's own backward has run
  template <MaskPolicy M, TrainableDeviceSink Sink>
  void backward(const DeviceDecoder<T, D>& model, const DeviceAdapter<T>& adapter, const M& mask, Sink& sink) {
    if (lowest_ > last_) return;  // nothing trained lies below what was read
    const DecoderConfig& config = model.config();
    D& device = model.device();
    const PackedTexts& all = batch_.every().queries;
    const Rows<float> gradient = gradient_.rows(device, all.rows, config.width);
    backward_last(model, sink, gradient);
    for (Index layer = last_; layer >= lowest_; --layer) {
      const auto at = context(model, mask, layer);
      const auto pairs = DeviceBlockPairs<T>::of(adapter, layer);
      const DeviceBlock<T>& w = model.weights().block(layer);
      Record& record = record_of(layer);
      const bool again = !keeps(layer);
      if (again) block_begin(model, pairs, at, layer, record);
      const Rows<const float> x = input(layer).rows(device, all.rows, config.width);
      const Rows<const float> middle = record.middle.rows(device, at.asking.rows, config.width);
      feed_forward_half_backward(device, w, pairs, config, at.asking_dropout, middle, record.feed_forward,
                                 gradient.middle_rows(0, middle.rows), again, feed_forward_scratch_);
      const bool goes_on = layer > lowest_;
      attention_half_backward(device, w, pairs, at, x, record.attention, gradient, goes_on, attention_scratch_, attention_back_);
      if (goes_on && sink.wants(layer - 1)) sink.backward_layer(layer - 1, x, all, gradient);
    }
  }

 private:
  struct Record {
    DeviceBuffer<float> middle{};  ///< [rows, D] between the halves
    DeviceAttentionRecord<T> attention{};
    DeviceFeedForwardRecord<T> feed_forward{};
  };

  template <MaskPolicy M>
  DeviceBlockContext<M> context(const DeviceDecoder<T, D>& model, const M& mask, Index layer) const {
    const AttentionBatch& attention = layer == last_ ? batch_.last() : batch_.every();
    const auto dropout = [&](const PackedTexts& texts) {
      return DeviceDropout{dropout_.rate, dropout_.seed, dropout_.step, dropout_.first_text, texts};
    };
    const PackedTexts &all = batch_.every().queries, &asking = attention.queries;
    return {model.config(), mask, attention, all, asking, batch_.rotary(model.config()), dropout(all), dropout(asking)};
  }
  /// The input of block `layer`; that of block last + 1 is the last output.
  DeviceBuffer<float>& input(Index layer) { return inputs_[static_cast<std::size_t>(layer)]; }
  bool keeps(Index layer) const noexcept { return layer >= lowest_ && last_ - layer < kept_blocks_; }
  Record& record_of(Index layer) { return keeps(layer) ? records_[static_cast<std::size_t>(layer)] : shared_; }

  /// Everything of a block but its last map: the attention half, gate and up.
  template <MaskPolicy M>
  void block_begin(const DeviceDecoder<T, D>& model, const DeviceBlockPairs<T>& pairs, const DeviceBlockContext<M>& at,
                   Index layer, Record& record) {
    D& device = model.device();
    const DeviceBlock<T>& w = model.weights().block(layer);
    const Rows<float> middle = record.middle.rows(device, at.asking.rows, at.config.width);
    attention_half_forward(device, w, pairs, at, Rows<const float>(input(layer).rows(device, at.all.rows, at.config.width)), middle,
                           record.attention, attention_scratch_, true);
    feed_forward_half_gates(device, w, pairs, at.epsilon(), at.asking_dropout, Rows<const float>(middle), record.feed_forward,
                            feed_forward_scratch_);
  }

  /// What layer `layer` of the model is: the input of the block above, or the last one after the final norm.
  Rows<float> state(const DeviceDecoder<T, D>& model, Index layer) {
    D& device = model.device();
    const Index rows = layer == last_ ? batch_.last().queries.rows : batch_.every().queries.rows;
    const Rows<float> x = input(layer + 1).rows(device, rows, model.config().width);
    if (layer != last_ || !normalize_) return x;
    const Rows<float> out = normed_.rows(device, rows, x.cols);
    device.launch(RmsNorm<float, float>{x, model.weights().final_norm(), static_cast<float>(model.config().norm_epsilon), out});
    return out;
  }

  /// The gradient of the last layer's raw states, in the first rows of `gradient`.
  template <class Sink>
  void backward_last(const DeviceDecoder<T, D>& model, Sink& sink, Rows<float> gradient) {
    D& device = model.device();
    const DecoderConfig& config = model.config();
    const PackedTexts& read = batch_.last().queries;
    const Rows<float> top = gradient.middle_rows(0, read.rows);
    const Index bytes = top.rows * top.cols * Index(sizeof(float));
    device.clear(top.data, bytes);
    if (!sink.wants(last_)) return;
    const Rows<const float> x = input(last_ + 1).rows(device, read.rows, config.width);
    if (!normalize_) return sink.backward_layer(last_, x, read, top);
    const Rows<float> dnormed = dnormed_.rows(device, top.rows, top.cols), normed = normed_.rows(device, top.rows, top.cols);
    device.clear(dnormed.data, bytes);
    sink.backward_layer(last_, Rows<const float>(normed), read, dnormed);
    device.launch(RmsNormBackward<float, float>{x, model.weights().final_norm(), static_cast<float>(config.norm_epsilon), dnormed, top});
  }

  Index kept_blocks_;
  Index last_ = 0;    ///< last layer that is read
  Index lowest_ = 1;  ///< lowest block that has something trained
  bool normalize_ = false;
  DeviceDecoderBatch batch_;
  DropoutKey dropout_{};
  std::vector<DeviceBuffer<float>> inputs_;
  std::vector<Record> records_;
  Record shared_;  ///< of every block that keeps its input alone
  DeviceAttentionScratch<T> attention_scratch_;
  DeviceAttentionBackwardScratch<T> attention_back_;
  DeviceFeedForwardScratch<T> feed_forward_scratch_;
  DeviceBuffer<float> normed_, dnormed_, gradient_;
};

}  // namespace embedpool::cuda
