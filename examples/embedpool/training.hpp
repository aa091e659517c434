#pragma once
#include "model.hpp"
#include "train_options.hpp"
#include "training_examples.hpp"

namespace embedpool::program {

/// Fills in what the flags leave open, reads the examples and checks that a training can take them.
///
/// Errors  those of flags and data, each by name
TrainingExamples ready_examples(TrainOptions& options);

/// The training that the flags describe, from the recipe to the trained folder: the head alone first where that is wanted.
///
/// Errors  those of flags, data and model, each by name; Interrupted after a signal, when a checkpoint was written
void train(TrainOptions options, const Model& model);

}  // namespace embedpool::program
