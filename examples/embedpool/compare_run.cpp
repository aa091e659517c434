#include "compare_run.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "compare_plan.hpp"
#include "embedpool/io/safetensors.hpp"
#include "evaluation.hpp"
#include "peak_memory.hpp"
#include "progress.hpp"
#include "text_file.hpp"
#include "trained_head.hpp"
#include "training.hpp"
#include "training_job.hpp"

namespace embedpool::program {
namespace {

namespace files = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Values of the adapter and the head in a trained folder.
Index trained_parameters(const files::path& folder) {
  Index count = 0;
  for (const char* name : {"adapter_model.safetensors", "head.safetensors"}) {
    if (!files::exists(folder / name)) continue;
    const auto file = io::SafetensorsFile::open(folder / name);
    for (const auto& [tensor, values] : file.tensors()) {
      Index size = 1;
      for (const Index extent : values.shape) size *= extent;
      count += size;
    }
  }
  return count;
}

/// One system with one seed, in a folder of its own: first trained, then scored.
class Part {
 public:
  Part(const CompareOptions& options, const ComparedSystem& system, Index seed, std::string label)
      : options_(options),
        system_(system),
        seed_(seed),
        label_(std::move(label)),
        folder_(files::path(options.output) / system.folder / ("seed" + std::to_string(seed))) {}

  void train(const Model& model, Index steps) const {
    if (system_.untrained || is_trained()) return;
    io::Json cost = files::exists(cost_file()) ? io::read_json(cost_file())
                                               : io::Json{{"train_seconds", 0.0}, {"peak_memory_bytes", 0}};
    const double before = cost.value("train_seconds", 0.0);
    reset_peak_memory();
    const Clock::time_point start = Clock::now();
    Clock::time_point saved = start;
    const auto save = [&] {
      cost["train_seconds"] = before + seconds_since(start);
      cost["peak_memory_bytes"] = std::max(cost.value("peak_memory_bytes", Index(0)), peak_memory());
      write_text_file(cost_file(), cost.dump(1) + "\n");
      saved = Clock::now();
    };
    TrainOptions training = system_.training;
    take_run_options(training);
    training.output = trained();
    training.resume = true;
    training.learning.steps = steps;
    training.learning.seed = static_cast<std::uint64_t>(seed_);
    if (training.freeze_backbone) {
      const files::path keys = files::path(options_.output) / "keys";
      files::create_directories(keys);
      training.key_cache = keys.string();
    }
    // A run that is killed leaves the time of all but its last seconds.
    training.stepped = [&](Index) {
      if (seconds_since(saved) > 5) save();
    };
    program::train(training, model);
    cost["trained_parameters"] = trained_parameters(trained());
    save();
  }

  std::vector<io::Json> evaluate(const Model& model, const std::vector<io::TaskFolder>& folders) const {
    EmbeddingOptions reading;
    if (system_.untrained)
      reading = system_.training;
    else
      reading.head = trained();
    take_run_options(reading);
    reading.max_tokens = options_.evaluated_tokens;
    return evaluate_tasks(reading, model, folders, options_.max_items, folder_ / "scores", [](const io::Json&) {});
  }

  io::Json cost() const { return files::exists(cost_file()) ? io::read_json(cost_file()) : io::Json::object(); }

 private:
  bool is_trained() const { return files::exists(files::path(trained()) / io::SavedEmbedder::config_name); }
  std::string trained() const { return (folder_ / "trained").string(); }
  files::path cost_file() const { return folder_ / "cost.json"; }
  void take_run_options(EmbeddingOptions& to) const {
    to.model = options_.model;
    to.compute = options_.compute;
    to.threads = options_.threads;
    to.batch_tokens = options_.batch_tokens;
    to.quiet = options_.quiet;
    to.verbose = options_.verbose;
    to.label = label_;
  }

  const CompareOptions& options_;
  const ComparedSystem& system_;
  Index seed_;
  std::string label_;
  files::path folder_;
};

/// Refuses data that cannot be scored or trained on before hours are spent.
void check_all_data(const CompareOptions& options, const std::vector<ComparedSystem>& systems,
                    const std::vector<io::TaskFolder>& folders) {
  TaskOptions protocol;
  protocol.most_items = options.max_items;
  protocol.classification.samples_per_label = 0;
  for (const io::TaskFolder& folder : folders) {
    TextTable table{TextTable::Roles::alike};
    io::read_task(folder, table, protocol);
  }
  for (const ComparedSystem& system : systems) {
    if (system.untrained) continue;
    TrainOptions training = system.training;
    apply_recipe(training);
    check_data(training);
  }
}

/// Refuses flags that do not fit the model or each other, before anything is written.
void check_reading(const ComparedSystem& system, const Model& model) {
  try {
    TrainOptions training = system.training;
    training.model = model.path();
    if (!system.untrained) apply_recipe(training);
    Settings settings = resolve(training, model);
    if (system.untrained || !training.head.empty()) return;
    const Index width = model.decoder().width(), slots = settings.reading.slots(model.decoder().layers());
    new_head(training.head_options, width, slots).init<float>(width, slots, 0);
  } catch (const ShapeError& error) {
    throw ShapeError("system '" + system.name + "': " + error.what());
  }
}

/// The flags of a system's folder are those of now.
void check_flags(const CompareOptions& options, const ComparedSystem& system) {
  const files::path file = files::path(options.output) / system.folder / "system.json";
  const io::Json now = {{"name", system.name}, {"flags", system.flags}, {"untrained", system.untrained}};
  if (files::exists(file)) {
    const io::Json before = io::read_json(file);
    for (const auto& [key, value] : now.items())
      if (before.value(key, io::Json()) != value)
        throw FileError(file.string(), key,
                        "was " + before.value(key, io::Json()).dump() + ", now it is " + value.dump() +
                            "; name another output folder");
    return;
  }
  write_text_file(file, now.dump(1) + "\n");
}

ScoreTable empty_table(const std::vector<ComparedSystem>& systems, const std::vector<io::TaskFolder>& folders,
                       const std::vector<io::Json>& results, Index seeds) {
  std::vector<std::string> names;
  for (const ComparedSystem& system : systems) names.push_back(system.name);
  std::vector<ComparedTask> tasks;
  for (std::size_t t = 0; t < folders.size(); ++t) {
    const io::JsonObject result(results[t], folders[t].name);
    tasks.push_back({std::string(name_of(folders[t].kind)), folders[t].name, result.string("main_metric"),
                     result.string("item"), result.string("item_metric")});
  }
  return ScoreTable(std::move(names), std::move(tasks), seeds);
}

}  // namespace

ComparedRun run_comparison(const CompareOptions& options) {
  const std::vector<ComparedSystem> systems = compared_systems(options);
  const std::vector<io::TaskFolder> folders = chosen_tasks(options.data, options.tasks);
  check_all_data(options, systems, folders);
  const Model model(options.model);
  for (const ComparedSystem& system : systems) check_reading(system, model);
  const io::Json plan = settled_plan(options, model, systems, folders);
  const Index steps = plan.at("steps").get<Index>();
  for (const ComparedSystem& system : systems) check_flags(options, system);

  std::optional<ScoreTable> table;
  std::vector<SystemCost> costs(systems.size());
  Index parts = 0, done = 0, worked = 0;
  for (const ComparedSystem& system : systems) parts += system.untrained ? 1 : options.seeds;
  double spent = 0;
  // Seeds outside, so that a run that is cut off has compared all systems with the seeds that it had.
  for (Index seed = 0; seed < options.seeds; ++seed)
    for (std::size_t s = 0; s < systems.size(); ++s) {
      const ComparedSystem& system = systems[s];
      if (system.untrained && seed > 0) continue;
      const std::string place = std::to_string(done + 1) + " of " + std::to_string(parts) + ", " + system.name +
                                (system.untrained ? "" : ", seed " + std::to_string(seed));
      if (!options.quiet)
        std::fprintf(
            stderr, "embedpool: %s%s\n", place.c_str(),
            worked == 0
                ? ""
                : (", about " +
                   Progress::clock(spent / static_cast<double>(worked) * static_cast<double>(parts - done)) + " left")
                      .c_str());
      const Part part(options, system, seed, place + ": ");
      const Clock::time_point start = Clock::now();
      part.train(model, steps);
      const std::vector<io::Json> results = part.evaluate(model, folders);
      if (const double seconds = seconds_since(start); seconds > 2) {  // what was there already tells nothing
        spent += seconds;
        ++worked;
      }
      ++done;
      if (!table) table.emplace(empty_table(systems, folders, results, options.seeds));
      for (std::size_t t = 0; t < results.size(); ++t)
        for (Index k = seed; k < (system.untrained ? options.seeds : seed + 1); ++k)
          table->add(static_cast<Index>(s), static_cast<Index>(t), k, results[t].at("main_score").get<double>(),
                     results[t].at("item_scores").get<std::vector<double>>());
      const io::Json cost = part.cost();
      costs[s].train_seconds += cost.value("train_seconds", 0.0) / static_cast<double>(options.seeds);
      costs[s].peak_memory = std::max(costs[s].peak_memory, cost.value("peak_memory_bytes", Index(0)));
      costs[s].parameters = cost.value("trained_parameters", Index(0));
    }
  table->require_complete();
  files::remove_all(files::path(options.output) / "keys");  // of trainings, which are all finished
  return {systems, std::move(*table), std::move(costs), plan};
}

}  // namespace embedpool::program
