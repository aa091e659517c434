#pragma once
#include "embedpool/cuda/decoder/decoder_training.cuh"
#include "embedpool/cuda/device_embedder.cuh"
#include "embedpool/cuda/parameter_update.cuh"
#include "embedpool/train/trained_embedder.hpp"

namespace embedpool::cuda {

/// A TrainedEmbedder whose passes run on a device: a TrainableModel as it is one, so that trainers, gradient caches,
/// checkpoints and files are those of the CPU. Parameters, gradients and the optimiser's moments stay on the device; a pass
/// takes ids there and embeddings back, and their gradient there. `bring_back()` makes the host's parameters those of the
/// device; the host's gradients are not used. `changed()` takes adapter and head there; the calibration is that of the
/// beginning.
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
    clear_gradients();
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
      const float* const de_rows = dpooled_.upload(*device_, values_of(dpooled));
      head_.backward(*device_, stream_.keys(), Rows<const float>(de_rows, dpooled.rows(), dpooled.cols()), stream_.begin_backward());
      training_.backward(decoder_, adapter_, mask, stream_);
      device_->wait();  // the gradient of the embeddings lies on the host
    });
  }

  /// The host's: values are up to date after bring_back().
  std::vector<TrainedTensor<float>> tensors() { return host_->tensors(); }
  void clear_gradients() {
    adapter_.clear_gradients(*device_);
    head_.clear_gradients(*device_);
  }
  /// Values of the host were changed: the next pass takes them to the device.
  void changed() {
    host_->changed();
    changed_ = true;
  }
  void bring_back() {
    if (changed_) return;  // the host's are newer
    const std::vector<TrainedTensor<float>> tensors = host_->tensors();
    const std::vector<TrainedRows> rows = on_device(tensors);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].copy_out(*device_, rows[i].value.data, *tensors[i].value);
  }
  /// Gradients that were added up so far, in the order of tensors(): to look at.
  std::vector<Matrix<float>> gradients() {
    std::vector<Matrix<float>> list;
    for (const TrainedRows& rows : on_device(host_->tensors())) rows.copy_out(*device_, rows.gradient.data, list.emplace_back());
    return list;
  }
  auto parameter_update(AdamW rule, double decay, const std::vector<TrainedTensor<float>>& of_loss) {
    auto changed = [this] { adapter_.parameters_changed(*device_); };
    const std::vector<TrainedTensor<float>> tensors = host_->tensors();
    return DeviceParameterUpdate<D, decltype(changed)>(*device_, rule, decay, tensors, on_device(tensors), of_loss, changed);
  }

 private:
  /// Where the tensors of the host lie on the device.
  std::vector<TrainedRows> on_device(const std::vector<TrainedTensor<float>>& tensors) const {
    const std::vector<TrainedRows> of_adapter = adapter_.tensors();
    std::vector<TrainedRows> list;
    for (const TrainedTensor<float>& tensor : tensors) {
      if (tensor.part == TrainedPart::adapter) {
        list.push_back(of_adapter[list.size()]);
        continue;
      }
      head_.for_each([&](const std::string& name, Rows<float> value, Rows<float> gradient) {
        if (tensor.name == "head." + name) list.push_back({value, gradient});
      });
    }
    return list;
  }

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
