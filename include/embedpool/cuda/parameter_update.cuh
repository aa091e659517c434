#pragma once
#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "embedpool/cuda/adamw.cuh"
#include "embedpool/cuda/trained_rows.hpp"
#include "embedpool/train/parameter_update.hpp"

namespace embedpool::cuda {

/// ParameterUpdate of tensors in a device's memory, beside what a loss learns on the host: one length of all gradients,
/// one optimiser on each side. A step brings eight bytes to the host and eight back.
///
/// `changed` is called after values on the device were changed.
///
/// Oracle  embedpool::ParameterUpdate
template <Device D, class Changed>
class DeviceParameterUpdate {
 public:
  using Moments = Optimizer<float>::Moments;

  /// `tensors` names the model's tensors, whose values lie in `rows`, in the same order.
  DeviceParameterUpdate(D& device, AdamW rule, double decay, const std::vector<TrainedTensor<float>>& tensors,
                        std::vector<TrainedRows> rows, const std::vector<TrainedTensor<float>>& of_loss, Changed changed)
      : device_(&device), rows_(std::move(rows)), optimizer_(device, rule, decay, on_device(tensors, rows_)),
        loss_tensors_(of_loss), of_loss_(rule, decay, of_loss), changed_(std::move(changed)) {
    device.wait();
  }

  double clip(Index batches, double longest) {
    const double share = 1.0 / static_cast<double>(batches);
    for (const TrainedTensor<float>& tensor : loss_tensors_) *tensor.gradient *= static_cast<float>(share);
    const double norm = std::hypot(share * optimizer_.gradient_norm(*device_), embedpool::gradient_norm(loss_tensors_));
    const double factor = longest > 0 ? std::min(1.0, longest / (norm + 1e-6)) : 1.0;
    for (const TrainedTensor<float>& tensor : loss_tensors_) *tensor.gradient *= static_cast<float>(factor);
    factor_ = share * factor;
    return norm;
  }
  template <class Rate>
  void apply(const Rate& rate) {
    optimizer_.scaled_step(*device_, rate, factor_);
    of_loss_.step(loss_tensors_, rate);
    changed_();
  }

  Index steps() const noexcept { return optimizer_.steps(); }
  /// Those of the model's tensors, copied to the host, then those of the loss's.
  std::vector<Moments> moments() {
    std::vector<Moments> all(rows_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      rows_[i].copy_out(*device_, optimizer_.first_moment(i), all[i].first);
      rows_[i].copy_out(*device_, optimizer_.second_moment(i), all[i].second);
    }
    all.insert(all.end(), of_loss_.moments().begin(), of_loss_.moments().end());
    return all;
  }
  void restore(std::vector<Moments> moments, Index steps) {
    require_equal("DeviceParameterUpdate", "moments", static_cast<Index>(moments.size()),
                  static_cast<Index>(rows_.size() + loss_tensors_.size()));
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      rows_[i].copy_in(*device_, moments[i].first, optimizer_.first_moment(i));
      rows_[i].copy_in(*device_, moments[i].second, optimizer_.second_moment(i));
    }
    std::move(moments.begin() + static_cast<std::ptrdiff_t>(rows_.size()), moments.end(), of_loss_.moments().begin());
    optimizer_.resume_at(steps);
    of_loss_.resume_at(steps);
  }

 private:
  static std::vector<DeviceTensor> on_device(const std::vector<TrainedTensor<float>>& tensors,
                                             const std::vector<TrainedRows>& rows) {
    require_equal("DeviceParameterUpdate", "tensors on the device", static_cast<Index>(rows.size()),
                  static_cast<Index>(tensors.size()));
    std::vector<DeviceTensor> list;
    for (std::size_t i = 0; i < rows.size(); ++i)
      list.push_back({tensors[i].name, rows[i].value.data, rows[i].gradient.data, rows[i].size(), tensors[i].part, tensors[i].decays});
    return list;
  }

  D* device_;
  std::vector<TrainedRows> rows_;
  DeviceOptimizer optimizer_;
  std::vector<TrainedTensor<float>> loss_tensors_;
  Optimizer<float> of_loss_;
  Changed changed_;
  double factor_ = 1;
};

}  // namespace embedpool::cuda
