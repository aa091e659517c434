#pragma once
#include <optional>
#include <string>
#include <vector>

#include "command_line_app.hpp"
#include "embedpool/core/types.hpp"
#include "text_input.hpp"

namespace embedpool::program {

/// The flags that several commands share. Empty means: not given.
struct EmbeddingOptions {
  std::string model{};
  std::optional<std::string> mask{}, pooling{}, layers{}, text_template{}, prompt{}, task{};
  std::optional<Index> layer{}, skip_first{}, max_tokens{}, dimensions{};
  std::optional<bool> append_eos{}, prepend_bos{}, normalize{};
  bool exclude_prompt = false;
  std::vector<std::string> instructions{};  ///< TASK=TEXT each: what stands in front of the queries of a task
  std::string head{}, calibration{}, compute = "f32", device = "cpu";
  bool strict = false, quiet = false, verbose = false;
  Index threads = 0, batch_tokens = 1024;
  InputFormat input_format = InputFormat::automatic;
  std::string label{};  ///< no flag: said in front of progress, where a run is one of several
};

/// --model
void add_model_option(CLI::App& command, EmbeddingOptions& options);
/// What decides the keys: mask, pooling, layers, prompt, what is appended.
void add_key_options(CLI::App& command, EmbeddingOptions& options);
/// --trained, --task, --calibration, --no-normalize, --dimensions
void add_saved_options(CLI::App& command, EmbeddingOptions& options);
/// How the work is done: arithmetic, threads, batches, messages.
void add_run_options(CLI::App& command, EmbeddingOptions& options);
/// --tasks and --max-items, of the data sets that are scored.
void add_task_options(CLI::App& command, std::vector<std::string>& tasks, Index& max_items);
/// --input-format
void add_input_format_option(CLI::App& command, EmbeddingOptions& options);

}  // namespace embedpool::program
