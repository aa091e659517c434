#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "compare_options.hpp"
#include "embedpool/io/json.hpp"
#include "training_recipe.hpp"

namespace embedpool::program {
namespace {

/// Letters, digits and underscores of a name, a hyphen for each run of others: never a file of the output or a way out
/// of it.
std::string folder_name(const std::string& name) {
  std::string folder;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (plain)
      folder += c;
    else if (!folder.empty() && folder.back() != '-')
      folder += '-';
  }
  while (!folder.empty() && folder.back() == '-') folder.pop_back();
  return folder;
}

void refuse_unknown(const io::JsonObject& object, const std::vector<std::string>& known) {
  for (const auto& [key, value] : object.json().items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string names;
    for (const std::string& name : known) names += (names.empty() ? "" : ", ") + name;
    object.fail(key, "is not known; there are " + names);
  }
}

std::vector<std::string> strings_or_none(const io::JsonObject& object, const std::string& key) {
  std::vector<std::string> strings;
  if (!object.has(key)) return strings;
  const io::Json& value = object.at(key);
  if (!value.is_array()) object.fail(key, "must be a list of strings");
  for (const io::Json& one : value) {
    if (!one.is_string()) object.fail(key, "must be a list of strings, but holds " + one.dump().substr(0, 80));
    strings.push_back(one.get<std::string>());
  }
  return strings;
}

/// Flags that `compare` gives itself.
void refuse_own_flags(const std::vector<std::string>& flags, const std::vector<std::string>& own) {
  for (const std::string& flag : flags)
    for (const std::string& name : own)
      if (flag == name || flag.starts_with(name + "="))
        throw ShapeError(name + ": is for compare to give, the same to every system");
}

void parse(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // the order in which CLI11 takes them
  app.parse(arguments);
}

TrainOptions parsed(const std::vector<std::string>& flags, const std::vector<std::string>& train_data) {
  CLI::App app;
  app.set_help_flag();
  TrainOptions options;
  add_train_options(app, options);
  std::vector<std::string> arguments = flags;
  arguments.insert(arguments.end(), {"--output", "folder"});
  const bool own_data = std::any_of(flags.begin(), flags.end(), [](const std::string& flag) {
    return flag == "--data" || flag.starts_with("--data=");
  });
  if (!own_data) {
    arguments.push_back("--data");
    arguments.insert(arguments.end(), train_data.begin(), train_data.end());
    if (train_data.empty()) arguments.push_back("none");
  }
  parse(app, arguments);
  if (!own_data) options.data = train_data;
  return options;
}

/// Refuses flags of an untrained system that say more than how texts are read: nothing would follow them.
void refuse_training_flags(const std::vector<std::string>& flags) {
  CLI::App app;
  app.set_help_flag();
  TrainOptions options;
  add_train_options(app, options);
  for (CLI::Option* option : app.get_options()) option->required(false);
  parse(app, flags);
  for (const CLI::Option* option : app.get_options([](const CLI::Option* one) { return one->count() > 0; })) {
    const std::string name = option->get_name(), group = option->get_group();
    if (name == "--max-tokens")
      throw ShapeError("--max-tokens: is of trainings; --evaluate-max-tokens of compare cuts texts of data sets");
    const bool reads =
        group == "Mask" || group == "Pooling" || group == "Text" || name == "--start-from" || name == "--instruction";
    if (!reads)
      throw ShapeError(name + ": is of a training; what is untrained is read by its mask, pooling, text and --start-from");
  }
}

/// `train_data` of the flags, else every DIR/train/*.jsonl and *.jsonl.gz.
std::vector<std::string> training_files(const CompareOptions& options) {
  if (!options.train_data.empty()) return options.train_data;
  std::vector<std::string> files;
  const std::filesystem::path folder = std::filesystem::path(options.data) / "train";
  if (std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (const std::string name = entry.path().string(); name.ends_with(".jsonl") || name.ends_with(".jsonl.gz"))
        files.push_back(name);
  std::sort(files.begin(), files.end());
  return files;
}

void add_system(std::vector<ComparedSystem>& systems, ComparedSystem system,
                const std::vector<std::string>& train_data) {
  system.folder = folder_name(system.name);
  if (system.folder.empty()) throw ShapeError("a name needs letters or digits");
  for (const char* own : {"keys", "timing"})
    if (system.folder == own) throw ShapeError("'" + system.name + "' is a folder of compare itself");
  for (const ComparedSystem& other : systems)
    if (other.folder == system.folder)
      throw ShapeError("'" + system.name + "' and '" + other.name + "' would share a folder");
  refuse_own_flags(system.flags, {"--output", "--seed", "--resume", "--key-cache"});
  system.training = parsed(system.flags, train_data);
  TrainOptions recipe = system.training;  // what contradicts itself is found before anything is trained
  apply_recipe(recipe);
  if (system.untrained && recipe.design)  // one for all systems
    throw ShapeError("--design: is a training; say --mask and --pooling of what is untrained");
  systems.push_back(std::move(system));
}

std::vector<ComparedSystem> configured_systems(const std::string& file, const std::vector<std::string>& train_data) {
  const io::Json json = io::read_json(file);
  const io::JsonObject root(json, file);
  refuse_unknown(root, {"systems", "flags"});
  const std::vector<std::string> common = strings_or_none(root, "flags");
  const io::Json& list = root.at("systems");
  if (!list.is_array() || list.empty()) root.fail("systems", "must be a list with one system or more");
  std::vector<ComparedSystem> systems;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = "systems[" + std::to_string(i) + "]";
    const io::JsonObject entry(list[i], file, place);
    refuse_unknown(entry, {"name", "flags", "untrained"});
    ComparedSystem system{entry.string("name"), {}, common, entry.boolean_or("untrained", false)};
    const std::vector<std::string> own = strings_or_none(entry, "flags");
    system.flags.insert(system.flags.end(), own.begin(), own.end());
    try {
      refuse_own_flags(own, {"--steps"});
      if (system.untrained) refuse_training_flags(own);
      add_system(systems, std::move(system), train_data);
    } catch (const CLI::ParseError& error) {
      throw FileError(file, place, error.what());
    } catch (const ShapeError& error) {
      throw FileError(file, place, error.what());
    }
  }
  return systems;
}

}  // namespace

std::vector<ComparedSystem> compared_systems(const CompareOptions& options) {
  const std::vector<std::string> files = training_files(options);
  std::vector<ComparedSystem> systems;
  if (!options.config.empty()) {
    systems = configured_systems(options.config, files);
  } else {
    const std::vector<int> all = {1, 2, 3, 4, 5};
    for (const int design : options.designs.empty() ? all : options.designs) {
      const std::string number = std::to_string(design);
      add_system(systems, {"design " + number, {}, {"--design", number}}, files);
    }
  }
  for (const ComparedSystem& system : systems)
    if (!system.untrained && system.training.data.empty())
      throw FileError(options.data + "/train", "",
                      "holds no .jsonl or .jsonl.gz file; name the training data by --train-data");
  return systems;
}

}  // namespace embedpool::program
