#pragma once
#include <string>
#include <vector>

#include "embedpool/eval/layers/linear_cka.hpp"
#include "embedpool/io/task_data/read_task.hpp"
#include "settings.hpp"

namespace embedpool::program {

struct LayersOptions : EmbeddingOptions {
  std::string data{}, output{}, command{};
  std::vector<std::string> tasks{};
  Index max_items = 200;
  Index similarity_texts = 1000;
};

/// What one data set says of the layers.
struct TaskByLayer {
  io::TaskFolder folder{};
  std::string metric{};
  Index texts = 0;
  std::vector<double> raw{}, calibrated{};  ///< main score of each layer, 0 to L
  std::vector<double> attention{};  ///< share of each layer in what the trained head takes, mean over texts; may be empty
};

/// How alike the layers are, by two measures.
struct LayerSimilarity {
  Matrix<double> cosine{};
  LinearCka cka{};
};

struct LayersRun {
  Settings settings{};      ///< as the flags and the trained folder say; the reading is that of a trained head
  std::string state{};      ///< what the states are, in words: "mean"
  std::string attention{};  ///< of which head the attention is, or why there is none, in words
  Index layers = 0;         ///< L: states are of layers 0 to L
  std::vector<TaskByLayer> tasks{};
  Index similarity_texts = 0;
  LayerSimilarity raw{}, standardised{};
};

/// Runs every text of every data set through the model once and looks at its pooled state in all layers.
///
///   raw         a data set's main score with the states as they are
///   calibrated  with every dimension of a layer centred and scaled by the texts of that data set, without labels
///
/// Memory  texts of the largest data set x (L + 1) x D floats, and some copies of `similarity_texts` of them
/// Errors  those of options, data and embeddings; FileError for an output that cannot be written to; Interrupted after a
///         signal
LayersRun run_layers(const LayersOptions& options, const Model& model);

}  // namespace embedpool::program
