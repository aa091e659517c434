#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "command_line_app.hpp"
#include "embedpool/core/types.hpp"
#include "embedpool/train/schedule.hpp"

namespace embedpool::program {

/// What learns from what, how fast, and for how long. What apply_learning_recipe() fills in is empty until then.
struct LearningOptions {
  Index steps = 100, accumulate = 1, chunk = 0, warmup = 10, most_negatives = 1, kept_blocks = -1;
  double weight_decay = 0.01, longest_gradient = 1, dropout = 0, triplet_margin = 0.5;
  std::optional<Index> batch{};                 ///< by apply_learning_recipe()
  std::optional<double> rate{}, temperature{};  ///< by apply_learning_recipe()
  std::optional<bool> mixed{};                  ///< by apply_learning_recipe()
  std::optional<double> head_rate{};            ///< else default_head_rate()
  std::optional<double> self_weight{};          ///< else TrainingJob::self_weight()
  std::optional<double> false_negative_margin{};
  Schedule::Decay decay = Schedule::Decay::linear;
  std::vector<Index> matryoshka{};
  std::vector<std::string> without_in_batch{};
  std::string loss = "infonce", scored_loss = "cosent";
  bool symmetric = false, learn_temperature = false;
  std::uint64_t seed = 0;
};

void add_learning_options(CLI::App& command, LearningOptions& learning);

}  // namespace embedpool::program
