#pragma once
#include <string>
#include <vector>

#include "compare_options.hpp"
#include "embedpool/eval/comparison/score_table.hpp"
#include "embedpool/io/json.hpp"
#include "model.hpp"

namespace embedpool::program {

/// What a system cost: means over its seeds.
struct SystemCost {
  double train_seconds = 0;
  Index peak_memory = 0;  ///< bytes, the largest of all seeds; 0: not known
  Index parameters = 0;   ///< trained ones
};

/// A comparison that has been carried out.
struct ComparedRun {
  std::vector<ComparedSystem> systems;
  ScoreTable scores;
  std::vector<SystemCost> costs;
  io::Json plan;  ///< model, data and budget with their digests, as in plan.json
};

/// Trains every system with every seed and scores it on every data set. What a run that was cut off has finished in the
/// output is kept, a training that was under way goes on from its checkpoint.
///
/// Errors  those of configuration, data and training, each by name; FileError for an output folder of another
///         comparison; Interrupted after a signal
ComparedRun run_comparison(const CompareOptions& options);

}  // namespace embedpool::program
