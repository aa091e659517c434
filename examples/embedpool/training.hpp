#pragma once
#include "model.hpp"
#include "train_options.hpp"

namespace embedpool::program {

/// The training that the flags describe, from the recipe to the trained folder: the head alone first where that is wanted.
///
/// Errors  those of flags, data and model, each by name; Interrupted after a signal, when a checkpoint was written
void train(TrainOptions options, const Model& model);

}  // namespace embedpool::program
