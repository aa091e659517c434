#pragma once
#include <cmath>
#include <vector>

#include "embedpool/train/trained_tensor.hpp"

namespace embedpool {

/// Length of all gradients as one vector, summed in double in the order of the tensors.
template <Real S>
double gradient_norm(const std::vector<TrainedTensor<S>>& tensors) noexcept {
  double sum = 0;
  for (const TrainedTensor<S>& tensor : tensors)
    for (Index i = 0; i < tensor.gradient->size(); ++i) {
      const double g = static_cast<double>(tensor.gradient->data()[i]);
      sum += g * g;
    }
  return std::sqrt(sum);
}

/// Scales all gradients by min(1, longest / (norm + 1e-6)) and returns the norm from before. `longest` 0: no clipping.
///
/// Source  torch.nn.utils.clip_grad_norm_
template <Real S>
double clip_gradients(const std::vector<TrainedTensor<S>>& tensors, double longest) noexcept {
  const double norm = gradient_norm(tensors);
  const double factor = longest / (norm + 1e-6);
  if (longest > 0 && factor < 1)
    for (const TrainedTensor<S>& tensor : tensors) *tensor.gradient *= static_cast<S>(factor);
  return norm;
}

}  // namespace embedpool
