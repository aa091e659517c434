#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/kernels/adamw.cuh"
#include "embedpool/train/adamw.hpp"
#include "embedpool/train/trained_tensor.hpp"

namespace embedpool::cuda {

/// A tensor in the device's memory that an optimiser changes, and its gradient. A view: the model owns both.
struct DeviceTensor {
  std::string name;  ///< unique in a model
  float* value = nullptr;
  const float* gradient = nullptr;
  Index size = 0;
  TrainedPart part = TrainedPart::adapter;
  bool decays = true;
};

/// Optimizer with the clipping of gradients, on a device: a step is three launches whatever the number of tensors, and
/// the norm stays where it is made.
///
/// Cost    a step reads the gradients twice, and values and moments once; memory the moments and 8 bytes a chunk
/// Errors  ShapeError for a tensor without memory, naming it
/// Oracle  embedpool::Optimizer, embedpool::clip_gradients
class DeviceOptimizer {
 public:
  /// The tensors must stay where they are. Moments begin at zero. Returns before the device has them: device.wait()
  /// comes before the end of this object.
  template <Device D>
  DeviceOptimizer(D& device, AdamW rule, double decay, const std::vector<DeviceTensor>& tensors)
      : rule_(rule), decay_(decay) {
    Index total = 0;
    for (const DeviceTensor& tensor : tensors) {
      require_in("DeviceOptimizer: " + tensor.name, "values", tensor.size, 0, Index(1) << 40);
      require_equal("DeviceOptimizer: " + tensor.name, "memory of value and gradient",
                    tensor.size == 0 || (tensor.value && tensor.gradient), 1);
      moment_begin_.push_back(total);
      total += divide_up(tensor.size, pack_size<float>) * pack_size<float>;
    }
    moment_size_ = total;
    float* const moments = moments_.reserve(device, 2 * total);
    device.clear(moments, 2 * total * Index(sizeof(float)));
    for (std::size_t i = 0; i < tensors.size(); ++i) add_chunks(tensors[i], moments + moment_begin_[i], total);
    device_chunks_.upload(device, std::span<const TensorChunk>(chunks_));
    squares_.reserve(device, count());
    device.clear(clip_.reserve(device, 1), Index(sizeof(GradientClip)));
  }

  /// One step on every tensor; `rate(part)` is the learning rate of a part of the model. Gradients longer than
  /// `longest_gradient` count with that length (0: as they are); they stay as they are in memory.
  template <Device D, class Rate>
  void step(D& device, const Rate& rate, double longest_gradient = 0) {
    launch_norm(device, longest_gradient);
    launch_update(device, rate);
  }

  /// The two halves of a step, for callers that decide between them: the norm of all gradients, waited for, ...
  template <Device D>
  double gradient_norm(D& device) {
    launch_norm(device, 0);
    GradientClip clip;
    device.copy_out(&clip, clip_.data(), Index(sizeof clip));
    device.wait();
    return static_cast<double>(clip.norm);
  }
  /// ... and a step where gradients count `factor` times.
  template <Device D, class Rate>
  void scaled_step(D& device, const Rate& rate, double factor) {
    scaled_ = {0, static_cast<float>(factor)};
    device.copy_in(clip_.data(), &scaled_, Index(sizeof scaled_));
    launch_update(device, rate);
  }

  Index steps() const noexcept { return steps_; }
  void resume_at(Index steps) noexcept { steps_ = steps; }
  /// Norm and factor of the last step, in the device's memory.
  const GradientClip* clip() const noexcept { return clip_.data(); }
  /// Moments of tensor i in the order of the tensors, in the device's memory.
  float* first_moment(std::size_t i) const noexcept { return moments_.data() + moment_begin_[i]; }
  float* second_moment(std::size_t i) const noexcept { return first_moment(i) + moment_size_; }

 private:
  Index count() const noexcept { return static_cast<Index>(chunks_.size()); }

  template <Device D>
  void launch_norm(D& device, double longest_gradient) {
    device.launch(GradientSquares{device_chunks_.data(), count(), squares_.data()});
    device.launch(GradientNorm{squares_.data(), count(), static_cast<float>(longest_gradient), clip_.data()});
  }
  template <Device D, class Rate>
  void launch_update(D& device, const Rate& rate) {
    ++steps_;
    const double correction1 = 1.0 - std::pow(rule_.beta1, static_cast<double>(steps_));
    const double correction2 = 1.0 - std::pow(rule_.beta2, static_cast<double>(steps_));
    AdamWUpdate update{device_chunks_.data(),
                       count(),
                       clip_.data(),
                       static_cast<float>(rule_.beta1),
                       static_cast<float>(rule_.beta2),
                       static_cast<float>(rule_.epsilon),
                       static_cast<float>(1.0 / correction2)};
    for (const TrainedPart part : {TrainedPart::adapter, TrainedPart::head, TrainedPart::base}) {
      const double of_part = rate(part);
      update.rates[static_cast<std::size_t>(part)] = {static_cast<float>(1.0 - of_part * decay_),
                                                      static_cast<float>(of_part / correction1)};
    }
    device.launch(update);
  }

  void add_chunks(const DeviceTensor& tensor, float* first_moment, Index to_second) {
    for (Index j = 0; j < tensor.size; j += TensorChunk::longest)
      chunks_.push_back({tensor.value + j, tensor.gradient + j, first_moment + j, first_moment + to_second + j,
                         static_cast<std::int32_t>(std::min(TensorChunk::longest, tensor.size - j)),
                         static_cast<std::int32_t>(tensor.part), tensor.decays});
  }

  AdamW rule_;
  double decay_;
  Index steps_ = 0;
  Index moment_size_ = 0;
  std::vector<Index> moment_begin_;
  std::vector<TensorChunk> chunks_;
  DeviceBuffer<float> moments_;
  DeviceBuffer<TensorChunk> device_chunks_;
  DeviceBuffer<double> squares_;
  DeviceBuffer<GradientClip> clip_;
  GradientClip scaled_{};  ///< stays until the device has it
};

}  // namespace embedpool::cuda
