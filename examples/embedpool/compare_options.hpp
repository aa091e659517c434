#pragma once
#include <optional>
#include <string>
#include <vector>

#include "train_options.hpp"

namespace embedpool::program {

/// The flags of `embedpool compare`; of the shared ones the model and how the work is done count.
struct CompareOptions : EmbeddingOptions {
  std::string data{}, output{}, config{};
  std::vector<std::string> train_data{}, tasks{};
  std::vector<int> designs{};
  std::optional<Index> steps{}, evaluated_tokens{};
  std::optional<double> minutes{};
  Index seeds = 3, max_items = 0;
  std::string command{};  ///< as it was called, for the report
};

/// One way of making embeddings that is compared.
struct ComparedSystem {
  std::string name;
  std::string folder;              ///< its name as that of a folder
  std::vector<std::string> flags;  ///< of `embedpool train`, common ones first
  bool untrained = false;          ///< the model as it is, read as the flags say
  TrainOptions training{};

  /// The files that it is trained on, and the folder that it starts from.
  std::vector<std::string> sources() const {
    std::vector<std::string> sources;
    if (untrained) return sources;
    sources = training.data;
    if (!training.head.empty()) sources.push_back(training.head);
    return sources;
  }
};

/// The systems that flags or the configuration name, each with everything but its seed, output and number of steps.
///
/// Errors  FileError naming file and key of a configuration that is not understood; ShapeError for designs that are not
std::vector<ComparedSystem> compared_systems(const CompareOptions& options);

}  // namespace embedpool::program
