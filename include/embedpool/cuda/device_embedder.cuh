#pragma once
#include "embedpool/cuda/calibration_buffer.cuh"
#include "embedpool/cuda/decoder/decoder.cuh"
#include "embedpool/cuda/heads/device_head.hpp"
#include "embedpool/cuda/pooling_stream.cuh"
#include "embedpool/model/embedder.hpp"

namespace embedpool::cuda {

/// An Embedder on a device: the same model, mask, pooling and last steps, its products in T. Include the file of the head
/// that the pooling has (heads/NAME.cuh).
///
///   const Design5<float> model = ...;
///   CudaDevice gpu;
///   DeviceEmbedder<bf16, CudaDevice, Bidirectional, Design5<float>::Pooling> embedder(gpu, model);
///   const Matrix<float> embeddings = embedder.encode(batch);
///
/// Requires  the device outlives this. One object serves one stream at a time
template <DeviceElement T, Device D, MaskPolicy M, class PoolingType>
class DeviceEmbedder {
 public:
  using Source = Embedder<Decoder<float>, M, PoolingType>;

  /// Copies the model's parameters to the device; `source` is not needed afterwards. Waits.
  DeviceEmbedder(D& device, const Source& source)
      : device_(&device),
        decoder_(device, source.backbone),
        head_(device, source.pooling.head, source.params),
        stream_(device, source.pooling.layers, source.pooling.tokens, source.backbone.layers(), source.backbone.width(),
                calibration_.upload(device, source.calibration)),
        mask_(source.mask),
        finishing_(source.finishing),
        last_state_(source.last_state) {
    device.wait();
  }

  /// One row a text, as Embedder::encode. Waits for the result.
  ///
  /// Errors  ShapeError for ids outside the vocabulary and texts that the pooling cannot read
  Matrix<float> encode(const Batch& batch) {
    const Rows<const float> embeddings = forward(batch);
    Matrix<float> out(embeddings.rows, embeddings.cols);
    device_->copy_out(out.data(), embeddings.data, out.size() * Index(sizeof(float)));
    device_->wait();
    return finishing_.forward(std::move(out));
  }

  /// The embeddings in device memory before the last steps, [B, output width], valid until the next call. Uploading the
  /// batch waits for the device; computing does not.
  Rows<const float> forward(const Batch& batch) {
    const Rows<float> out = embeddings_.rows(*device_, batch.segments().size(), head_.output_width(decoder_.config().width));
    if (batch.segments().size() == 0) return out;
    stream_.begin(batch.segments());
    with_trained_window(mask_, decoder_.config().sliding_window,
                        [&](const auto& applied) { decoder_.forward(batch, applied, stream_, last_state_); });
    head_.forward(*device_, stream_.keys(), out);
    return out;
  }

 private:
  D* device_;
  CalibrationBuffer calibration_;
  DeviceDecoder<T, D> decoder_;
  DeviceHead<typename PoolingType::Head, D> head_;
  DevicePoolingStream<typename PoolingType::Layers, typename PoolingType::Tokens, D> stream_;
  M mask_;
  Finishing finishing_;
  LastState last_state_;
  DeviceBuffer<float> embeddings_;
};

}  // namespace embedpool::cuda
