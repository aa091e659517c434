#pragma once
#include <string>
#include <vector>

#include "embedpool/core/matrix.hpp"

namespace embedpool {

/// What a tensor belongs to: each kind may have a learning rate of its own.
enum class TrainedPart { adapter, head, base };

/// A tensor that an optimiser changes, and its gradient. A view: the model owns both.
template <Real S>
struct TrainedTensor {
  std::string name;            ///< unique in a model: checkpoints know it by that
  Matrix<S>* value = nullptr;
  Matrix<S>* gradient = nullptr;
  TrainedPart part = TrainedPart::adapter;
  bool decays = true;          ///< weight decay applies: to matrices, not to gains, biases and mixing weights
};

/// A loss with tensors of its own that learn beside the model's; a Trainer asks for them.
template <class Loss, class S>
concept TrainedLoss = requires(const Loss& loss) {
  { loss.tensors() } -> std::same_as<std::vector<TrainedTensor<S>>>;
};

}  // namespace embedpool
