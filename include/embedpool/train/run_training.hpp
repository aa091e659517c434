#pragma once
#include <atomic>
#include <filesystem>
#include <string>
#include <utility>

#include "embedpool/train/checkpoint.hpp"

namespace embedpool {

/// How long a training goes on, and what it leaves on its way.
struct TrainingRun {
  Index steps = 1;                        ///< of the whole run, those before a resume included
  std::filesystem::path checkpoint{};     ///< file; empty: none is written
  std::string description{};              ///< see write_checkpoint
  Index checkpoint_every = 0;             ///< steps between checkpoints; 0: only at the end and when interrupted
};

enum class RunEnd { finished, interrupted };

/// Steps until the run is at its end, or until `stop` is true (set by a signal handler, say): the step that is under way
/// is finished first. Either way the last thing is a checkpoint, or without one a look whether all tensors are finite.
///
/// `batch_of(step)` gives the ContrastiveTexts of a step, a function of its number, so that a resumed run sees the same;
/// `observe(report)` sees each step after the update, before its checkpoint. To resume, call read_checkpoint before.
///
/// Errors  those of the trainer and write_checkpoint, and what the two functions throw
template <class Model, class Loss, class BatchOf, class Observe, Executor E>
RunEnd run_training(Trainer<Model, Loss>& trainer, const TrainingRun& run, BatchOf&& batch_of, Observe&& observe,
                    const std::atomic<bool>& stop, E& executor) {
  const auto save = [&] {
    if (run.checkpoint.empty()) trainer.require_finite();
    else write_checkpoint(trainer, run.description, run.checkpoint);
  };
  while (trainer.steps() < run.steps) {
    if (stop) {
      save();
      return RunEnd::interrupted;
    }
    observe(trainer.step(batch_of(trainer.steps()), executor));
    if (run.checkpoint_every > 0 && trainer.steps() % run.checkpoint_every == 0 && trainer.steps() < run.steps) save();
  }
  save();
  return RunEnd::finished;
}

}  // namespace embedpool
