#pragma once
#include <string_view>

#include "embedpool/train/training_data.hpp"
#include "train_options.hpp"

namespace embedpool::program {

/// Fills in what a design of arXiv 2409.02727 says, or else the default recipe, where flags leave it open.
///
/// Errors  ShapeError naming a flag that contradicts the design
void apply_recipe(TrainOptions& options);

/// Fills in how to learn from data of which all has a teacher, or from other data, where flags leave it open.
void apply_learning_recipe(const TrainingData& data, LearningOptions& learning);

/// 1e-2 for heads that are few weights, one for each key; 1e-3 for those that have matrices, which diverge at more.
double default_head_rate(std::string_view head) noexcept;

/// The training of the head alone that comes before LoRA, in the folder `head` of the output: few examples many times, as
/// suits few parameters.
TrainOptions head_training(const TrainOptions& options);

}  // namespace embedpool::program
