#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "embedding_options.hpp"
#include "embedpool/model/new_lora_adapter.hpp"
#include "learning_options.hpp"

namespace embedpool::program {

/// The head that is trained; what is empty depends on the kind of head and the model.
struct HeadOptions {
  std::optional<std::string> kind{};
  std::optional<Index> queries{}, heads{}, head_dim{}, feed_forward{};
  bool published_start = false, layer_table = true;
};

/// The flags of `embedpool train`. `max_tokens` of the shared ones holds for texts of the training alone.
struct TrainOptions : EmbeddingOptions {
  std::vector<std::string> data{}, held_out{};
  std::string output{}, key_cache{};
  std::optional<int> design{};
  HeadOptions head_options{};
  LoraOptions lora{};
  LearningOptions learning{};
  bool shrink_batch = false;       ///< to what the tasks can fill
  bool describes_adapter = false;  ///< a flag says what a new adapter is
  bool freeze_backbone = false, calibrate = true, skip_bad_lines = false, resume = false;
  Index examples = 0, calibration_texts = 600, held_out_every = 50, checkpoint_every = 50;
  std::optional<Index> head_steps{};
  /// No flag: told how many steps are done after each one, those of a head that is trained first left out.
  std::function<void(Index)> stepped{};
};

void add_train_options(CLI::App& command, TrainOptions& options);

}  // namespace embedpool::program
