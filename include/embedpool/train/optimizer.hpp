#pragma once
#include <utility>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/train/adamw.hpp"
#include "embedpool/train/trained_tensor.hpp"

namespace embedpool {

/// AdamW over a list of tensors, with its moments and its count of steps.
///
/// Errors  ShapeError when the tensors are not those it was made for
template <Real S>
class Optimizer {
 public:
  struct Moments {
    Matrix<S> first;
    Matrix<S> second;
  };

  Optimizer(AdamW rule, double decay, const std::vector<TrainedTensor<S>>& tensors) : rule_(rule), decay_(decay) {
    for (const TrainedTensor<S>& tensor : tensors) {
      const Matrix<S> zeros = Matrix<S>::Zero(tensor.value->rows(), tensor.value->cols());
      moments_.push_back({zeros, zeros});
    }
  }

  /// One step on every tensor; `rate(part)` is the learning rate of a part of the model.
  template <class Rate>
  void step(const std::vector<TrainedTensor<S>>& tensors, const Rate& rate) {
    require_equal("Optimizer", "tensors", static_cast<Index>(tensors.size()), static_cast<Index>(moments_.size()));
    for (std::size_t i = 0; i < tensors.size(); ++i)
      require_equal("Optimizer: " + tensors[i].name, "values", tensors[i].value->size(), moments_[i].first.size());
    ++steps_;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const TrainedTensor<S>& tensor = tensors[i];
      rule_.update(*tensor.value, *tensor.gradient, moments_[i].first, moments_[i].second, steps_, rate(tensor.part),
                   tensor.decays ? decay_ : 0.0);
    }
  }

  Index steps() const noexcept { return steps_; }
  std::vector<Moments>& moments() noexcept { return moments_; }  ///< in the order of the tensors
  void resume_at(Index steps) noexcept { steps_ = steps; }

 private:
  AdamW rule_;
  double decay_;
  std::vector<Moments> moments_;
  Index steps_ = 0;
};

}  // namespace embedpool
