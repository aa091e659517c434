#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "embedding_options.hpp"
#include "embedpool/model/new_lora_adapter.hpp"
#include "embedpool/train/schedule.hpp"

namespace embedpool::program {

/// The head that is trained; what is empty depends on the kind of head and the model.
struct HeadOptions {
  std::optional<std::string> kind{};
  std::optional<Index> queries{}, heads{}, head_dim{}, feed_forward{};
  bool published_start = false, layer_table = true;
};

/// What learns from what, how fast, and for how long. What apply_recipe() fills in is empty until then.
struct LearningOptions {
  Index steps = 100, accumulate = 1, chunk = 0, warmup = 10, most_negatives = 1, kept_blocks = -1;
  double weight_decay = 0.01, longest_gradient = 1, dropout = 0, self_weight = 0.5;
  std::optional<Index> batch{};                 ///< by apply_recipe()
  std::optional<double> rate{}, temperature{};  ///< by apply_recipe()
  std::optional<bool> mixed{};                  ///< by apply_recipe()
  std::optional<double> head_rate{};            ///< else default_head_rate()
  std::optional<double> false_negative_margin{};
  Schedule::Decay decay = Schedule::Decay::linear;
  std::vector<Index> matryoshka{};
  std::vector<std::string> without_in_batch{};
  std::string loss = "infonce", scored_loss = "cosent";
  bool symmetric = false, learn_temperature = false;
  std::uint64_t seed = 0;
};

/// The flags of `embedpool train`. `max_tokens` of the shared ones holds for texts of the training alone.
struct TrainOptions : EmbeddingOptions {
  std::vector<std::string> data{}, held_out{};
  std::string output{}, key_cache{};
  std::optional<int> design{};
  HeadOptions head_options{};
  LoraOptions lora{};
  LearningOptions learning{};
  bool shrink_batch = false;  ///< to what the largest task can fill
  bool freeze_backbone = false, calibrate = true, skip_bad_lines = false, resume = false;
  Index examples = 0, calibration_texts = 600, held_out_every = 50, checkpoint_every = 50;
  std::optional<Index> head_steps{};
  /// No flag: told how many steps are done after each one, those of a head that is trained first left out.
  std::function<void(Index)> stepped{};
};

void add_train_options(CLI::App& command, TrainOptions& options);

}  // namespace embedpool::program
