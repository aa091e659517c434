#include "compare_part.hpp"

#include <algorithm>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/saved_embedder.hpp"
#include "evaluation.hpp"
#include "peak_memory.hpp"
#include "text_file.hpp"
#include "training.hpp"

namespace embedpool::program {
namespace {

/// Values of the adapter and the head in a trained folder.
Index trained_parameters(const std::filesystem::path& folder) {
  Index count = 0;
  for (const char* name : {"adapter_model.safetensors", "head.safetensors"}) {
    if (!std::filesystem::exists(folder / name)) continue;
    const auto file = io::SafetensorsFile::open(folder / name);
    for (const auto& [tensor, values] : file.tensors()) {
      Index size = 1;
      for (const Index extent : values.shape) size *= extent;
      count += size;
    }
  }
  return count;
}

}  // namespace

void take_run_options(const CompareOptions& from, const std::string& label, EmbeddingOptions& to) {
  to.model = from.model;
  to.compute = from.compute;
  to.device = from.device;
  to.threads = from.threads;
  to.batch_tokens = from.batch_tokens;
  to.quiet = from.quiet;
  to.verbose = from.verbose;
  to.label = label;
}

void ComparedPart::train(const Model& model, Index steps) const {
  if (system_.untrained || std::filesystem::exists(std::filesystem::path(trained()) / io::SavedEmbedder::config_name))
    return;
  io::Json cost = std::filesystem::exists(cost_file()) ? io::read_json(cost_file())
                                                       : io::Json{{"train_seconds", 0.0}, {"peak_memory_bytes", 0}};
  const double before = cost.value("train_seconds", 0.0);
  reset_peak_memory();
  const auto start = std::chrono::steady_clock::now();
  auto saved = start;
  const auto save = [&] {
    cost["train_seconds"] = before + seconds_since(start);
    cost["peak_memory_bytes"] = std::max(cost.value("peak_memory_bytes", Index(0)), peak_memory());
    write_text_file(cost_file(), cost.dump(1) + "\n");
    saved = std::chrono::steady_clock::now();
  };
  TrainOptions training = system_.training;
  take_run_options(options_, label_, training);
  training.output = trained();
  training.resume = true;
  training.learning.steps = steps;
  training.learning.seed = static_cast<std::uint64_t>(seed_);
  if (training.freeze_backbone) {
    const std::filesystem::path keys = std::filesystem::path(options_.output) / "keys";
    std::filesystem::create_directories(keys);
    training.key_cache = keys.string();
  }
  // A run that is killed leaves the time of all but its last seconds.
  training.stepped = [&](Index) {
    if (seconds_since(saved) > 5) save();
  };
  program::train(training, model);
  save();
}

std::vector<io::Json> ComparedPart::evaluate(const Model& model, const std::vector<io::TaskFolder>& folders) const {
  EmbeddingOptions reading;
  if (system_.untrained)
    reading = system_.training;
  else
    reading.head = trained();
  take_run_options(options_, label_, reading);
  reading.max_tokens = options_.evaluated_tokens;
  return evaluate_tasks(reading, model, folders, options_.max_items, folder_ / "scores", [](const io::Json&) {});
}

io::Json ComparedPart::cost() const {
  io::Json cost = std::filesystem::exists(cost_file()) ? io::read_json(cost_file()) : io::Json::object();
  // Counted anew: a run that was killed right behind a training left no more than its time.
  if (!system_.untrained) cost["trained_parameters"] = trained_parameters(trained());
  return cost;
}

}  // namespace embedpool::program
