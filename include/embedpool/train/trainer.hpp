#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/train/gradient_cache.hpp"
#include "embedpool/train/gradient_norm.hpp"
#include "embedpool/train/optimizer.hpp"
#include "embedpool/train/schedule.hpp"

namespace embedpool {

/// A training that cannot go on: its loss or a gradient is no number.
class TrainingError : public Error {
 public:
  using Error::Error;
};

/// How a model is taught.
struct TrainingSettings {
  Schedule schedule{};         ///< share of the peak rates at each step
  double rate = 1e-4;          ///< peak rate of adapters and base
  double head_rate = 1e-3;     ///< peak rate of the head
  double weight_decay = 0.01;
  double longest_gradient = 1; ///< gradients are scaled down to this norm; 0: never
  double dropout = 0;          ///< of the input of LoRA's A
  std::uint64_t seed = 0;      ///< of dropout
  Index chunk = 0;             ///< texts a pass; batches of more go through a gradient cache. 0: any number
  AdamW optimizer{};
};

/// What a step did.
struct StepReport {
  Index step = 0;          ///< from 0
  double loss = 0;         ///< mean over the step's batches, before the update
  double gradient_norm = 0;  ///< before clipping
  double rate = 0;
};

/// Teaches a model by a contrastive loss: gradients of one or several batches, clipping, AdamW on a schedule.
///
/// A step depends on the model, the optimiser's moments, the number of the step and the batch alone, so a run that is
/// resumed from these (train/checkpoint.hpp) goes on with the same bits, for any executor.
///
/// Errors  TrainingError naming step and batch when a loss or gradient is no number: nothing was changed by the step
template <TrainableModel Model, class Loss>
class Trainer {
 public:
  using Scalar = typename Model::Scalar;
  using Texts = ContrastiveTexts<typename Model::Text>;

  /// The model outlives the trainer.
  Trainer(Model& model, Loss loss, TrainingSettings settings)
      : model_(&model), loss_(std::move(loss)), settings_(settings), tensors_(all_tensors(model, loss_)),
        optimizer_(settings.optimizer, settings.weight_decay, tensors_) {}

  /// One step on one batch.
  template <Executor E>
  StepReport step(const Texts& batch, E& executor) {
    return step(std::span<const Texts>(&batch, 1), executor);
  }

  /// One step on the mean loss of several batches, each with negatives of its own (gradient accumulation).
  template <Executor E>
  StepReport step(std::span<const Texts> batches, E& executor) {
    require_in("Trainer", "batches", static_cast<Index>(batches.size()), 1, Index(1) << 30);
    model_->clear_gradients();
    if constexpr (TrainedLoss<Loss, Scalar>)
      for (const TrainedTensor<Scalar>& tensor : loss_.tensors()) tensor.gradient->setZero();
    const double share = settings_.schedule(steps());  // of the peak rates
    StepReport report{steps(), 0, 0, share * settings_.rate};
    DropoutKey key{settings_.dropout, settings_.seed, steps(), 0};
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const double loss = contrastive_gradients(*model_, batches[i], loss_, settings_.chunk, key, executor);
      if (!std::isfinite(loss)) fail(i, "the loss is " + std::to_string(loss));
      report.loss += loss / static_cast<double>(batches.size());
      key.first_text += static_cast<Index>(batches[i].texts.size());
    }
    if (batches.size() > 1)
      for (const TrainedTensor<Scalar>& tensor : tensors_) *tensor.gradient /= static_cast<Scalar>(batches.size());
    report.gradient_norm = clip_gradients(tensors_, settings_.longest_gradient);
    if (!std::isfinite(report.gradient_norm)) fail(batches.size() - 1, "a gradient is not finite");
    optimizer_.step(tensors_, [&](TrainedPart part) {
      return share * (part == TrainedPart::head ? settings_.head_rate : settings_.rate);
    });
    model_->changed();
    return report;
  }

  /// The loss of held-out texts, without dropout; nothing changes.
  template <Executor E>
  double evaluate(const Texts& batch, E& executor) {
    batch.check();
    const std::span<const typename Model::Text> texts(batch.texts);
    const Matrix<Scalar> embeddings = embed_in_chunks(*model_, texts, settings_.chunk, DropoutKey{}, executor);
    Matrix<Scalar> unused;
    return loss_of(batch, loss_, embeddings, unused);
  }

  Index steps() const noexcept { return optimizer_.steps(); }  ///< that have been done
  Model& model() noexcept { return *model_; }
  Optimizer<Scalar>& optimizer() noexcept { return optimizer_; }
  const std::vector<TrainedTensor<Scalar>>& tensors() const noexcept { return tensors_; }
  const TrainingSettings& settings() const noexcept { return settings_; }

 private:
  /// The model's, then those of a loss that has some.
  static std::vector<TrainedTensor<Scalar>> all_tensors(Model& model, const Loss& loss) {
    std::vector<TrainedTensor<Scalar>> tensors = model.tensors();
    if constexpr (TrainedLoss<Loss, Scalar>)
      for (TrainedTensor<Scalar>& tensor : loss.tensors()) tensors.push_back(std::move(tensor));
    return tensors;
  }

  [[noreturn]] void fail(std::size_t batch, const std::string& what) const {
    throw TrainingError("training: step " + std::to_string(steps()) + ", batch " + std::to_string(batch) + ": " + what);
  }

  Model* model_;
  Loss loss_;
  TrainingSettings settings_;
  std::vector<TrainedTensor<Scalar>> tensors_;
  Optimizer<Scalar> optimizer_;
};

}  // namespace embedpool
