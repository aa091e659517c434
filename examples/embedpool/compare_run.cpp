#include "compare_run.hpp"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "compare_part.hpp"
#include "compare_plan.hpp"
#include "evaluation.hpp"
#include "gpu/require_gpu.hpp"
#include "progress.hpp"
#include "settings.hpp"
#include "text_file.hpp"
#include "trained_head.hpp"
#include "training_job.hpp"
#include "training_recipe.hpp"

namespace embedpool::program {
namespace {

namespace files = std::filesystem;

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
    ready_examples(training);
  }
}

/// Refuses flags that do not fit the model or each other before anything is written.
void check_reading(const ComparedSystem& system, const Model& model) {
  try {
    TrainOptions training = system.training;
    training.model = model.path();
    if (!system.untrained) apply_recipe(training);
    const Settings settings = resolve(training, model);
    if (system.untrained || !training.head.empty()) return;
    const Index width = model.decoder().width(), slots = settings.reading.slots(model.decoder().layers());
    new_head(training.head_options, width, slots).init<float>(width, slots, 0);
  } catch (const ShapeError& error) {
    throw ShapeError("system '" + system.name + "': " + error.what());
  }
}

/// The flags of a system's folder, and the contents of what it is trained on, are those of now: what is trained already
/// is not trained again.
void check_system(const CompareOptions& options, const ComparedSystem& system, const io::Json& plan) {
  const files::path file = files::path(options.output) / system.folder / "system.json";
  io::Json now = {{"name", system.name}, {"flags", system.flags}, {"untrained", system.untrained}};
  for (const std::string& source : system.sources()) now["trained_on"].push_back(plan.at("training_data").at(source));
  if (files::exists(file)) {
    const io::Json before = io::read_json(file);
    for (const auto& [key, value] : now.items())  // folders of earlier versions do not say what is trained on
      if (const io::Json kept = before.value(key, key == "trained_on" ? value : io::Json()); kept != value)
        throw FileError(file.string(), key,
                        "was " + kept.dump() + ", now it is " + value.dump() + "; name another output folder");
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
  if (options.device == "cuda") require_gpu(AnyCompute::parse(options.compute));
  const std::vector<ComparedSystem> systems = compared_systems(options);
  const std::vector<io::TaskFolder> folders = chosen_tasks(options.data, options.tasks);
  check_all_data(options, systems, folders);
  const Model model(options.model);
  for (const ComparedSystem& system : systems) check_reading(system, model);
  const io::Json plan = settled_plan(options, model, systems, folders);
  const Index steps = plan.at("steps").get<Index>();
  for (const ComparedSystem& system : systems) check_system(options, system, plan);

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
      std::string left;
      if (worked > 0)
        left = ", about " + Progress::clock(spent / static_cast<double>(worked) * static_cast<double>(parts - done)) +
               " left";
      if (!options.quiet) std::fprintf(stderr, "embedpool: %s%s\n", place.c_str(), left.c_str());
      const ComparedPart part(options, system, seed, place + ": ");
      const auto start = std::chrono::steady_clock::now();
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
