#pragma once
#include "training_examples.hpp"

namespace embedpool::program {

/// Refuses flags that would change nothing in a training on this data. Before apply_learning_recipe(), which fills in some.
void check_flags(const TrainOptions& options, const TrainingExamples& examples);

/// Refuses data, batches, instructions and tasks of --no-in-batch-negatives that a training with these flags cannot take, or
/// has nothing to learn from, before a long one begins.
void check_data(const TrainOptions& options, const TrainingExamples& examples);

}  // namespace embedpool::program
