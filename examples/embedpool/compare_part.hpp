#pragma once
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "compare_options.hpp"
#include "embedpool/io/json.hpp"
#include "embedpool/io/task_data/read_task.hpp"
#include "model.hpp"

namespace embedpool::program {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// What the comparison's own flags decide for each training and evaluation: the model and how the work is done.
void take_run_options(const CompareOptions& from, const std::string& label, EmbeddingOptions& to);

/// One system with one seed, in a folder of its own: first trained, then scored. What is there already is kept, a
/// training that was under way goes on.
class ComparedPart {
 public:
  ComparedPart(const CompareOptions& options, const ComparedSystem& system, Index seed, std::string label)
      : options_(options),
        system_(system),
        seed_(seed),
        label_(std::move(label)),
        folder_(std::filesystem::path(options.output) / system.folder / ("seed" + std::to_string(seed))) {}

  /// Nothing for an untrained system. Errors as train() throws them.
  void train(const Model& model, Index steps) const;

  /// The results of all data sets. Errors as evaluate_tasks() throws them.
  std::vector<io::Json> evaluate(const Model& model, const std::vector<io::TaskFolder>& folders) const;

  /// train_seconds, peak_memory_bytes and trained_parameters, as far as they are known.
  io::Json cost() const;

 private:
  std::filesystem::path cost_file() const { return folder_ / "cost.json"; }
  std::string trained() const { return (folder_ / "trained").string(); }

  const CompareOptions& options_;
  const ComparedSystem& system_;
  Index seed_;
  std::string label_;
  std::filesystem::path folder_;
};

}  // namespace embedpool::program
