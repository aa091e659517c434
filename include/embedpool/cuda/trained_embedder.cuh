#pragma once
#include "embedpool/cuda/decoder/decoder_training.cuh"
#include "embedpool/cuda/device_embedder.cuh"
#include "embedpool/train/trained_embedder.hpp"

namespace embedpool::cuda {

/// A TrainedEmbedder whose passes run on a device: a TrainableModel as it is one, so that trainers, gradient caches,
/// checkpoints and files are those of the CPU. Parameters, their gradients and the optimiser stay on the host; each pass
/// takes parameters that were changed to the device and brings gradients back.
///
/// Errors    ShapeError for a base that is trained: it is frozen in T here
/// Requires  device and `host` outlive this; `host` is taught through this alone
template <DeviceElement T, Device D, MaskPolicy M, class PoolingType>
class DeviceTrainedEmbedder {
 public:
  using Host = TrainedEmbedder<float, M, PoolingType>;
  using Scalar = float;
  using Text = TrainingText;

  DeviceTrainedEmbedder(D& device, Host& host, Index kept_blocks = DeviceDecoderTraining<T, D>::every_block)
      : device_(&device),
        host_(&host),
        decoder_(device, host.decoder()),
        adapter_(device, host.decoder(), host.adapter),
        head_(device, host.pooling.head, host.params),
        stream_(device, host.pooling.layers, host.pooling.tokens, host.decoder().layers(), host.decoder().width(),
                calibration_.upload(device, host.calibration)),
        training_(kept_blocks) {
    if (!host.gradients().base.empty()) throw ShapeError("DeviceTrainedEmbedder: the base is frozen on a device");
    device.wait();
  }

  template <Executor E>
  Matrix<float> embed(std::span<const Text> texts, const DropoutKey& key, E&) {
    Matrix<float> embeddings;
    pass(texts, key, [&](const auto&, const Matrix<float>& pooled) { embeddings = host_->finishing.forward(pooled); });
    return embeddings;
  }

  template <class Derivative, Executor E>
  void embed_and_back(std::span<const Text> texts, const DropoutKey& key, Derivative&& derivative, E&) {
    pass(texts, key, [&](const auto& mask, const Matrix<float>& pooled) {
      const Matrix<float> de = std::forward<Derivative>(derivative)(host_->finishing.forward(pooled));
      Matrix<float> dpooled = Matrix<float>::Zero(pooled.rows(), pooled.cols());
      host_->finishing.backward(pooled, rows_of(de), rows_of(dpooled));
      adapter_.clear_gradients(*device_);
      head_.clear_gradients(*device_);
      const float* const de_rows = dpooled_.upload(*device_, values_of(dpooled));
      head_.backward(*device_, stream_.keys(), Rows<const float>(de_rows, dpooled.rows(), dpooled.cols()), stream_.begin_backward());
      training_.backward(decoder_, adapter_, mask, stream_);
      adapter_.add_gradients_to(*device_, host_->gradients());
      head_.add_gradients_to(*device_, host_->head_gradients());
    });
  }

  std::vector<TrainedTensor<float>> tensors() { return host_->tensors(); }
  void clear_gradients() { host_->clear_gradients(); }
  void changed() {
    host_->changed();
    changed_ = true;
  }

 private:
  /// A pass forward; then `behind(mask, pooled)` with the embeddings before the last steps.
  template <class F>
  void pass(std::span<const Text> texts, const DropoutKey& key, F&& behind) {
    if (std::exchange(changed_, false)) {
      adapter_.upload(*device_, host_->adapter);
      head_.upload(*device_, host_->params);
      device_->wait();
    }
    const Batch batch = Host::batch_of(texts);
    stream_.begin(batch.segments());
    with_trained_window(host_->mask, decoder_.config().sliding_window, [&](const auto& mask) {
      training_.forward(decoder_, adapter_, batch, mask, stream_, key, host_->last_state);
      Matrix<float> pooled(batch.segments().size(), head_.output_width(decoder_.config().width));
      const Rows<float> out = embeddings_.rows(*device_, pooled.rows(), pooled.cols());
      head_.forward(*device_, stream_.keys(), out);
      device_->copy_out(pooled.data(), out.data, pooled.size() * Index(sizeof(float)));
      device_->wait();
      behind(mask, pooled);
    });
  }

  D* device_;
  Host* host_;
  CalibrationBuffer calibration_;
  DeviceDecoder<T, D> decoder_;
  DeviceAdapter<T> adapter_;
  DeviceHead<typename PoolingType::Head, D> head_;
  DevicePoolingStream<typename PoolingType::Layers, typename PoolingType::Tokens, D> stream_;
  DeviceDecoderTraining<T, D> training_;
  DeviceBuffer<float> embeddings_, dpooled_;
  bool changed_ = false;
};

}  // namespace embedpool::cuda
