#include "compare_plan.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "compare_part.hpp"
#include "digest.hpp"
#include "embedpool/io/mapped_file.hpp"
#include "text_file.hpp"
#include "training.hpp"

namespace embedpool::program {
namespace {

namespace files = std::filesystem;

/// Of the bytes of files, in this order.
std::string digest_of_files(const std::vector<files::path>& all) {
  Digest digest;
  for (const files::path& one : all) {
    const auto file = io::MappedFile::open(one);
    digest.add(std::string_view(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()));
  }
  return digest.text();
}

/// A file, or all files below a folder in the order of their names.
std::vector<files::path> files_of(const files::path& path) {
  if (!files::is_directory(path)) return {path};
  std::vector<files::path> found;
  for (const auto& entry : files::recursive_directory_iterator(path))
    if (entry.is_regular_file()) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

/// Steps that the slowest system does in `minutes`; what comes before the first step is taken off.
Index measured_steps(const CompareOptions& options, const Model& model, const std::vector<ComparedSystem>& systems) {
  constexpr Index timed = 4;
  double fewest = 1e9;
  const files::path folder = files::path(options.output) / "timing";
  for (const ComparedSystem& system : systems) {
    if (system.untrained) continue;
    files::remove_all(folder);  // of a measurement that was cut off
    TrainOptions training = system.training;
    take_run_options(options, "timing " + system.name + ": ", training);
    training.output = (folder / system.folder).string();
    training.learning.steps = timed;
    training.held_out.clear();
    const auto start = std::chrono::steady_clock::now();
    std::vector<double> seconds;
    training.stepped = [&](Index) { seconds.push_back(seconds_since(start)); };
    train(training, model);
    const double per_step = (seconds.back() - seconds.front()) / static_cast<double>(timed - 1);
    const double before = seconds.front() - per_step;
    fewest = std::min(fewest, (60 * *options.minutes - before) / std::max(per_step, 1e-6));
  }
  files::remove_all(folder);
  return std::max<Index>(1, static_cast<Index>(fewest));
}

}  // namespace

io::Json settled_plan(const CompareOptions& options, const Model& model, const std::vector<ComparedSystem>& systems,
                      const std::vector<io::TaskFolder>& folders) {
  io::Json plan = {{"model", model.path()},
                   {"model_digest", digest_of_files(files_of(model.path()))},
                   {"max_items", options.max_items},
                   {"compute", options.compute},
                   {"device", options.device},
                   {"evaluated_tokens", options.evaluated_tokens.value_or(0)},
                   {"minutes", options.minutes.value_or(0)},
                   {"training_data", io::Json::object()},
                   {"data_sets", io::Json::object()}};
  for (const ComparedSystem& system : systems)
    for (const std::string& source : system.sources())
      if (!plan["training_data"].contains(source)) plan["training_data"][source] = digest_of_files(files_of(source));
  for (const io::TaskFolder& folder : folders)
    plan["data_sets"][std::string(name_of(folder.kind)) + "/" + folder.name] = digest_of_files(io::data_files(folder.directory));
  const files::path file = files::path(options.output) / "plan.json";
  if (!options.minutes) plan["steps"] = options.steps.value_or(systems.front().training.learning.steps);
  if (files::exists(file)) {
    const io::Json kept = io::read_json(file);
    const io::JsonObject object(kept, file.string());
    if (options.minutes) plan["steps"] = object.integer("steps", 1, Index(1) << 40);
    const auto same = [&](const std::string& key, const io::Json& before, const io::Json& now) {
      if (before != now)
        object.fail(key, "was " + before.dump().substr(0, 200) + ", now it is " + now.dump().substr(0, 200) +
                             "; name another output folder");
    };
    const io::Json written = io::Json::parse(io::json_text(plan));  // paths as a file holds them
    for (const auto& [key, now] : written.items()) {
      if (!now.is_object()) {
        same(key, object.at(key), now);
        continue;
      }
      io::Json all = object.at(key);
      if (!all.is_object()) object.fail(key, "must be an object");
      for (const auto& [name, digest] : now.items())
        if (all.contains(name)) same(key + "." + name, all[name], digest);
    }
  } else if (options.minutes) {
    plan["steps"] = measured_steps(options, model, systems);
  }
  write_text_file(file, io::json_text(plan, 1) + "\n");
  return plan;
}

}  // namespace embedpool::program
