#include "embedpool/cuda/cuda_device.cuh"
#include "embedpool/cuda/calibration_buffer.cuh"
#include "embedpool/cuda/decoder/decoder.cuh"
#include "embedpool/cuda/heads/any_head.cuh"
#include "embedpool/cuda/pooling_stream.cuh"
#include "gpu_pass.hpp"
#include "require_gpu.hpp"

namespace embedpool::program {
namespace {

/// One reading's part on the GPU.
struct GpuReading {
  cuda::CalibrationBuffer calibration;
  cuda::DevicePoolingStream<AnyLayers, AnyTokens, cuda::CudaDevice> stream;
  cuda::DeviceHead<AnyHead, cuda::CudaDevice> head;
  cuda::DeviceBuffer<float> embeddings{};

  GpuReading(cuda::CudaDevice& gpu, const Reading& reading, const DecoderConfig& config)
      : stream(gpu, reading.layers, reading.tokens, config.layers, config.width, calibration.upload(gpu, reading.calibration)),
        head(gpu, reading.head, reading.params) {}
};

/// Several streams as one sink: what any of them wants, to each what it wants.
class Streams {
 public:
  explicit Streams(std::span<const std::unique_ptr<GpuReading>> readings) : readings_(readings) {}
  Index last_layer() const {
    Index last = 0;
    for (const auto& reading : readings_) last = std::max(last, reading->stream.last_layer());
    return last;
  }
  bool wants(Index layer) const {
    return std::ranges::any_of(readings_, [&](const auto& reading) { return reading->stream.wants(layer); });
  }
  /// A stream whose last layer comes earlier is pushed all tokens there.
  Interval reads(const TextShape& shape) const {
    Interval all{};
    for (const auto& reading : readings_)
      if (reading->stream.wants(last_layer())) all = hull(all, reading->stream.reads(shape));
    return all;
  }
  void push(Index layer, Rows<const float> states, const cuda::PackedTexts& texts) const {
    for (const auto& reading : readings_)
      if (reading->stream.wants(layer)) reading->stream.push(layer, states, texts);
  }

 private:
  std::span<const std::unique_ptr<GpuReading>> readings_;
};

template <cuda::DeviceElement T>
class Pass final : public GpuPass {
 public:
  Pass(const Decoder<float>& decoder, const AnyMask& mask) : decoder_(gpu_, decoder), mask_(mask) {}

  std::vector<Matrix<float>> embed(const Batch& batch, std::span<const Reading> readings) override {
    forward(batch, readings);
    std::vector<Matrix<float>> embeddings;
    for (std::size_t i = 0; i < readings.size(); ++i) {
      GpuReading& own = *readings_[i];
      const Rows<float> out =
          own.embeddings.rows(gpu_, batch.segments().size(), own.head.output_width(decoder_.config().width));
      own.head.forward(gpu_, own.stream.keys(), out);
      embeddings.push_back(readings[i].finishing.forward(copied(Rows<const float>(out))));
    }
    return embeddings;
  }
  std::vector<Matrix<float>> keys(const Batch& batch, std::span<const Reading> readings) override {
    forward(batch, readings);
    std::vector<Matrix<float>> keys;
    for (const auto& own : readings_) keys.push_back(copied(own->stream.keys().rows));
    return keys;
  }

 private:
  void forward(const Batch& batch, std::span<const Reading> readings) {
    const Index calibrated =
        std::ranges::count_if(readings, [](const Reading& reading) { return reading.calibration.has_value(); });
    if (readings.data() != of_ || readings.size() != readings_.size() || calibrated != calibrated_) {
      readings_.clear();
      for (const Reading& reading : readings)
        readings_.push_back(std::make_unique<GpuReading>(gpu_, reading, decoder_.config()));
      of_ = readings.data();
      calibrated_ = calibrated;
      gpu_.wait();
    }
    for (const auto& own : readings_) own->stream.begin(batch.segments());
    Streams sink(readings_);
    decoder_.forward(batch, mask_, sink);
  }
  Matrix<float> copied(Rows<const float> rows) {
    Matrix<float> out(rows.rows, rows.cols);
    gpu_.copy_out(out.data(), rows.data, out.size() * Index(sizeof(float)));
    gpu_.wait();
    return out;
  }

  cuda::CudaDevice gpu_;
  cuda::DeviceDecoder<T, cuda::CudaDevice> decoder_;
  AnyMask mask_;
  const Reading* of_ = nullptr;  // whose parameters are there, and how many of them were calibrated
  Index calibrated_ = 0;
  std::vector<std::unique_ptr<GpuReading>> readings_;
};

}  // namespace

std::unique_ptr<GpuPass> gpu_pass(const Decoder<float>& decoder, const AnyMask& mask, const AnyCompute& compute) {
  require_gpu(compute);
  if (compute.name() == "bf16") return std::make_unique<Pass<bf16>>(decoder, mask);
  return std::make_unique<Pass<float>>(decoder, mask);
}

}  // namespace embedpool::program
