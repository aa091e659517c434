#pragma once
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/train/gradient_cache.hpp"
#include "embedpool/train/parameter_update.hpp"
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
  double rate = 0;         ///< share of the peak times TrainingSettings::rate
};

namespace detail {
/// The update of a model and of what its loss learns: the model's own where it has one.
template <class Model>
auto update_of(Model& model, const std::vector<TrainedTensor<typename Model::Scalar>>& all,
               const std::vector<TrainedTensor<typename Model::Scalar>>& of_loss, const TrainingSettings& settings) {
  if constexpr (UpdatesItself<Model>)
    return model.parameter_update(settings.optimizer, settings.weight_decay, of_loss);
  else
    return ParameterUpdate<typename Model::Scalar>(settings.optimizer, settings.weight_decay, all);
}
}  // namespace detail

/// Teaches a model by a contrastive loss: gradients of one or several batches, clipping, AdamW on a schedule.
///
/// A step depends on the model, the optimiser's moments, the number of the step and the batch alone, so a run that is
/// resumed from these (train/checkpoint.hpp) goes on with the same bits, for any executor.
///
/// Errors  TrainingError naming step and batch when a loss or gradient is no number: nothing was changed by the step;
///         ShapeError for a dropout that is no probability below 1
template <TrainableModel Model, class Loss>
class Trainer {
 public:
  using Scalar = typename Model::Scalar;
  using Texts = ContrastiveTexts<typename Model::Text>;

  /// The model outlives the trainer.
  Trainer(Model& model, Loss loss, TrainingSettings settings)
      : model_(&model), loss_(std::move(loss)), settings_(settings), tensors_(all_tensors(model, loss_)),
        update_(detail::update_of(model, tensors_, tensors_of(loss_), settings)) {
    if (!(settings.dropout >= 0 && settings.dropout < 1))
      throw ShapeError("Trainer: dropout must be in [0, 1), is " + std::to_string(settings.dropout));
  }

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
    report.gradient_norm = update_.clip(static_cast<Index>(batches.size()), settings_.longest_gradient);
    if (!std::isfinite(report.gradient_norm)) fail(batches.size() - 1, "a gradient is not finite");
    update_.apply([&](TrainedPart part) {
      return share * (part == TrainedPart::head ? settings_.head_rate : settings_.rate);
    });
    if constexpr (!has_own_update) model_->changed();
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

  Index steps() const noexcept { return update_.steps(); }  ///< that have been done
  Model& model() noexcept { return *model_; }
  auto& update() noexcept { return update_; }
  /// The model's tensors, then the loss's, with the values that they have now.
  const std::vector<TrainedTensor<Scalar>>& tensors() {
    if constexpr (has_own_update) model_->bring_back();
    return tensors_;
  }
  const TrainingSettings& settings() const noexcept { return settings_; }

  /// What the last update left cannot be seen in its loss: asked before it is written or used.
  ///
  /// Errors  TrainingError naming a tensor that is not finite, or whose moments are not
  void require_finite() {
    const auto& all = tensors();
    const auto& moments = update_.moments();
    const auto refuse = [&](const std::string& what) {
      throw TrainingError("training: after " + std::to_string(steps()) + " steps: " + what);
    };
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].value->allFinite()) refuse(all[i].name + " is not finite");
      if (!moments[i].first.allFinite() || !moments[i].second.allFinite())
        refuse("the moments of " + all[i].name + " are not finite");
    }
  }

 private:
  static constexpr bool has_own_update = UpdatesItself<Model>;

  static std::vector<TrainedTensor<Scalar>> tensors_of(const Loss& loss) {
    if constexpr (TrainedLoss<Loss, Scalar>) return loss.tensors();
    else return {};
  }
  static std::vector<TrainedTensor<Scalar>> all_tensors(Model& model, const Loss& loss) {
    std::vector<TrainedTensor<Scalar>> tensors = model.tensors();
    for (TrainedTensor<Scalar>& tensor : tensors_of(loss)) tensors.push_back(std::move(tensor));
    return tensors;
  }

  [[noreturn]] void fail(std::size_t batch, const std::string& what) const {
    throw TrainingError("training: step " + std::to_string(steps()) + ", batch " + std::to_string(batch) + ": " + what);
  }

  Model* model_;
  Loss loss_;
  TrainingSettings settings_;
  std::vector<TrainedTensor<Scalar>> tensors_;
  decltype(detail::update_of(std::declval<Model&>(), {}, {}, {})) update_;
};

}  // namespace embedpool
