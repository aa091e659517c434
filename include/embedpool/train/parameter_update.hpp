#pragma once
#include <utility>
#include <vector>

#include "embedpool/train/gradient_norm.hpp"
#include "embedpool/train/optimizer.hpp"

namespace embedpool {

/// What a trainer does with gradients: their mean over batches, clipping, AdamW.
///
/// A TrainableModel whose values lie elsewhere, in a device's memory say, has an update of its own with these members,
/// which its function `parameter_update(rule, decay, of_loss)` makes; the loss's tensors are the host's in any case.
template <Real S>
class ParameterUpdate {
 public:
  using Moments = typename Optimizer<S>::Moments;

  ParameterUpdate(AdamW rule, double decay, std::vector<TrainedTensor<S>> tensors)
      : tensors_(std::move(tensors)), optimizer_(rule, decay, tensors_) {}

  /// Makes the mean of the gradients that `batches` batches were added to, no longer than `longest` (0: any). Returns its
  /// length from before; no value has changed.
  double clip(Index batches, double longest) {
    if (batches > 1)
      for (const TrainedTensor<S>& tensor : tensors_) *tensor.gradient /= static_cast<S>(batches);
    return clip_gradients(tensors_, longest);
  }
  /// One step with the clipped gradients; `rate(part)` is the learning rate of a part.
  template <class Rate>
  void apply(const Rate& rate) {
    optimizer_.step(tensors_, rate);
  }

  Index steps() const noexcept { return optimizer_.steps(); }  ///< that were applied
  const std::vector<Moments>& moments() { return optimizer_.moments(); }  ///< in the order of the tensors
  void restore(std::vector<Moments> moments, Index steps) {
    optimizer_.moments() = std::move(moments);
    optimizer_.resume_at(steps);
  }

 private:
  std::vector<TrainedTensor<S>> tensors_;
  Optimizer<S> optimizer_;
};

}  // namespace embedpool
