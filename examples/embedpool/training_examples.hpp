#pragma once
#include <memory>

#include "embedpool/train/batch_plan.hpp"
#include "embedpool/train/training_data.hpp"
#include "train_options.hpp"

namespace embedpool::program {

/// Examples that several trainings share.
using Examples = std::shared_ptr<const TrainingData>;

/// What a training learns from, and what its loss is measured on besides.
struct TrainingExamples {
  Examples data, held_out;
};

/// Reads all files, each once, so that they may be pipes.
TrainingExamples read_examples(const TrainOptions& options);

/// So many of the examples, at equal distances, so that every task has its share; 0: all.
Examples thinned(const Examples& all, Index count);

/// The order in which a training takes its examples, and looks at those that are held out.
BatchPlan batch_plan(const TrainOptions& options, const TrainingData& data);
BatchPlan held_out_plan(const TrainOptions& options, const TrainingData& data);

/// Whether some of the examples have a score.
bool has_scored_pairs(const TrainingData& data);

}  // namespace embedpool::program
