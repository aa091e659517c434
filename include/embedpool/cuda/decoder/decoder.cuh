#pragma once
#include "embedpool/cuda/decoder/attention_half.cuh"
#include "embedpool/cuda/decoder/decoder_batch.cuh"
#include "embedpool/cuda/decoder/mixture_half.cuh"
#include "embedpool/cuda/kernels/embedding_gather.cuh"
#include "embedpool/model/backbone.hpp"

namespace embedpool::cuda {

/// What a device decoder pushes its states into: a LayerSink whose states lie in device memory, float, packed as `texts`
/// says, valid until the next layer is computed.
template <class K>
concept DeviceLayerSink = requires(K sink, Index layer, const TextShape& shape, Rows<const float> states,
                                   const PackedTexts& texts) {
  { sink.last_layer() } -> std::convertible_to<Index>;
  { sink.wants(layer) } -> std::convertible_to<bool>;
  { sink.reads(shape) } -> std::same_as<Interval>;
  { sink.push(layer, states, texts) } -> std::same_as<void>;
};

/// Decoder::forward on a device: the same layers of the same model, matrices and activations rounded to T, the residual
/// stream in float. One object serves one stream at a time; its memory is used again.
///
/// Memory  weights, and per token 8 D + 4 D + 2 (NH + 2 NKV) d + 2 NH d + 6 F bytes with T of two bytes, or with experts
///         in place of 6 F what DeviceMixtureScratch says
/// Errors  ShapeError for ids outside the vocabulary, a last layer that is not there
template <DeviceElement T, Device D>
class DeviceDecoder {
 public:
  DeviceDecoder(D& device, const Decoder<float>& decoder) : device_(&device), weights_(device, decoder) {}

  const DecoderConfig& config() const noexcept { return weights_.config(); }
  const DeviceDecoderWeights<T>& weights() const noexcept { return weights_; }
  D& device() const noexcept { return *device_; }

  /// Pushes the layers that `sink` wants, each as soon as it is queued, and stops after sink.last_layer(). Uploading the
  /// batch waits; computing does not.
  template <MaskPolicy M, DeviceLayerSink Sink>
  void forward(const Batch& batch, const M& mask, Sink& sink, LastState last_state = LastState::normalized) {
    const Index last = sink.last_layer();
    require_in("DeviceDecoder", "last layer", last, 0, config().layers);
    if (batch.segments().size() == 0) return;
    const RowSelection read(batch.segments(), [&](const TextShape& shape) { return sink.reads(shape); });
    batch_.upload(*device_, config(), batch, read);
    compute(mask, sink, last, last_state);
  }

  /// The same for the batch that was uploaded last, without touching the host's memory: what a CUDA graph captures.
  template <MaskPolicy M, DeviceLayerSink Sink>
  void compute(const M& mask, Sink& sink, Index last, LastState last_state = LastState::normalized) {
    D& device = *device_;
    const DeviceRotary rotary = batch_.rotary(config());
    const PackedTexts& all = batch_.every().queries;
    Rows<float> x = residual_[0].rows(device, all.rows, config().width);
    device.launch(EmbeddingGather<T>{weights_.embedding(), batch_.ids(), static_cast<float>(config().embedding_scale), x});
    if (sink.wants(0)) sink.push(0, Rows<const float>(x), all);
    for (Index layer = 1; layer <= last; ++layer) {
      const AttentionBatch& attention = layer == last ? batch_.last() : batch_.every();
      const PackedTexts& asking = attention.queries;
      const DeviceBlockContext<M> at{config(), mask, attention, all, asking, rotary};
      const Rows<float> y = at.pruned() ? residual_[1].rows(device, asking.rows, config().width) : x;
      const DeviceBlock<T>& w = weights_.block(layer);
      attention_half_forward(device, w, no_pairs_, at, Rows<const float>(x), y, attention_, attention_scratch_, false);
      feed_forward(w, y);
      x = y;
      if (!sink.wants(layer)) continue;
      const bool normalize = layer == config().layers && last_state == LastState::normalized;
      sink.push(layer, Rows<const float>(normalize ? normalized(x) : x), asking);
    }
  }

 private:
  void feed_forward(const DeviceBlock<T>& w, Rows<float> x) {
    D& device = *device_;
    if (config().experts > 0) return mixture_half_forward(device, w, config(), x, mixture_scratch_);
    const auto epsilon = static_cast<float>(config().norm_epsilon);
    feed_forward_half_gates(device, w, no_pairs_, epsilon, {}, Rows<const float>(x), feed_forward_, feed_forward_scratch_);
    feed_forward_half_down(device, w, no_pairs_, config().activation, {}, x, feed_forward_, feed_forward_scratch_);
  }
  Rows<float> normalized(Rows<float> x) {
    const Rows<float> out = normed_.rows(*device_, x.rows, x.cols);
    device_->launch(RmsNorm<float, float>{x, weights_.final_norm(), static_cast<float>(config().norm_epsilon), out});
    return out;
  }

  D* device_;
  DeviceDecoderWeights<T> weights_;
  DeviceDecoderBatch batch_;
  DeviceBlockPairs<T> no_pairs_;
  DeviceBuffer<float> residual_[2], normed_;
  DeviceAttentionRecord<T> attention_;
  DeviceAttentionScratch<T> attention_scratch_;
  DeviceFeedForwardRecord<T> feed_forward_;
  DeviceFeedForwardScratch<T> feed_forward_scratch_;
  DeviceMixtureScratch<T> mixture_scratch_;
};

}  // namespace embedpool::cuda
