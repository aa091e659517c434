#pragma once
#include <string_view>

#include "train_options.hpp"

namespace embedpool::program {

/// Fills in what a design of arXiv 2409.02727 says, or else the default recipe, where flags leave it open; and how to learn
/// from data with a teacher, or without one.
///
/// Errors  ShapeError naming a flag that contradicts the design
void apply_recipe(TrainOptions& options);

/// 1e-2 for heads that are few weights, one for each key; 1e-3 for those that have matrices, which diverge at more.
double default_head_rate(std::string_view head) noexcept;

/// The training of the head alone that comes before LoRA, in the folder `head` of the output: few examples many times, as
/// suits few parameters.
TrainOptions head_training(const TrainOptions& options);

}  // namespace embedpool::program
