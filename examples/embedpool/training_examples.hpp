#pragma once
#include "embedpool/train/batch_plan.hpp"
#include "embedpool/train/training_data.hpp"
#include "train_options.hpp"

namespace embedpool::program {

/// The examples of the files, so many of them at equal distances, so that every task has its share; 0: all.
TrainingData read_examples(const std::vector<std::string>& files, const TrainOptions& options, Index examples);

/// The order in which a training takes its examples, and looks at those that are held out.
BatchPlan batch_plan(const TrainOptions& options, const TrainingData& data);
BatchPlan held_out_plan(const TrainOptions& options, const TrainingData& data);

/// Whether some of the examples have a score.
bool has_scored_pairs(const TrainingData& data);

/// Refuses data, batches, instructions and tasks of --no-in-batch-negatives that a training with these flags cannot take,
/// before a long one begins.
void check_data(const TrainOptions& options);

}  // namespace embedpool::program
