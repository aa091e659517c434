#include "evaluation.hpp"

#include <map>

#include "embedpool/io/mapped_file.hpp"
#include "command.hpp"
#include "digest.hpp"
#include "embedded_table.hpp"
#include "stop_signal.hpp"
#include "text_file.hpp"

namespace embedpool::program {
namespace {

io::Json to_json(const io::TaskFolder& folder, const TaskResult& result, const io::Json& embedder) {
  io::Json metrics = io::Json::object();
  for (const auto& [name, value] : result.metrics) metrics[name] = value;
  return {{"task", folder.name},        {"kind", std::string(name_of(folder.kind))},
          {"split", folder.split},      {"main_metric", result.main_metric},
          {"main_score", result.main()}, {"metrics", std::move(metrics)},
          {"item", result.item},        {"item_metric", result.item_metric},
          {"item_scores", result.item_scores}, {"embedder", embedder}};
}

/// A number of the names and contents of a data set's files.
std::string digest_of_task(const io::TaskFolder& folder) {
  Digest digest;
  for (const auto& file : io::data_files(folder.directory)) {
    digest.add(std::string_view(file.lexically_relative(folder.directory).string()));
    digest.add(io::MappedFile::open(file)->bytes());
  }
  return digest.text();
}

/// The result that is there already; it must be of the same settings and data.
io::Json read_result(const std::filesystem::path& file, const io::Json& embedder, const std::string& data, Index max_items) {
  io::Json result = io::read_json(file);
  if (!result.is_object()) throw FileError(file.string(), "", "is no result of an evaluation");
  if (result.value("data", io::Json()) != io::Json(data))
    throw FileError(file.string(), "data", "is of other data; name another output folder");
  if (result.value("embedder", io::Json()) != embedder)
    throw FileError(file.string(), "embedder", "is of other settings; name another output folder");
  if (result.value("max_items", io::Json(0)) != io::Json(max_items))
    throw FileError(file.string(), "max_items", "is not " + std::to_string(max_items) + " as now; name another output folder");
  return result;
}

}  // namespace

std::string instruction_of(const io::TaskFolder& folder, const std::map<std::string, std::string>& prompts) {
  for (const std::string& task : {folder.name, std::string(name_of(folder.kind))})
    if (const auto prompt = prompts.find(task); prompt != prompts.end()) return prompt->second;
  return "";
}

std::vector<io::TaskFolder> chosen_tasks(const std::string& data, const std::vector<std::string>& tasks) {
  const std::vector<io::TaskFolder> all = io::find_tasks(data);
  if (tasks.empty()) return all;
  std::vector<io::TaskFolder> chosen;
  for (const std::string& wanted : tasks) {
    bool named = false;
    for (const io::TaskFolder& folder : all)
      if (wanted == folder.name || wanted == name_of(folder.kind)) {
        named = true;
        const auto same = [&](const io::TaskFolder& other) { return other.directory == folder.directory; };
        if (std::none_of(chosen.begin(), chosen.end(), same)) chosen.push_back(folder);  // once, however often it is named
      }
    if (!named) throw FileError(data, "", "has no task or kind of tasks '" + wanted + "'");
  }
  return chosen;
}

std::filesystem::path score_file(const std::filesystem::path& output, const io::TaskFolder& folder) {
  return output / std::string(name_of(folder.kind)) / (folder.name + ".json");
}

std::vector<io::Json> evaluate_tasks(const EmbeddingOptions& options, const Model& model,
                                     const std::vector<io::TaskFolder>& folders, Index max_items,
                                     const std::filesystem::path& output,
                                     const std::function<void(const io::Json&)>& scored) {
  const StopSignal stop;
  require_writable_folder(output);
  Settings settings = resolve(options, model);
  if (options.verbose) std::fprintf(stderr, "embedpool: settings\n%s", describe(settings.config, model).c_str());
  ForwardPass pass(decoder_of(settings, model), settings.config.mask, AnyCompute::parse(options.compute), options.threads,
                   options.device);
  pass.prepare(settings.reading);
  ThreadPool executor(options.threads);
  std::map<std::string, EmbeddedTable> tables;  // by instruction
  const io::Json embedder = {{"model", model.digest()}, {"learned", learned_digest(settings)}, {"compute", options.compute},
                             {"settings", io::to_json(settings.config)}};
  std::vector<io::Json> results;
  for (const io::TaskFolder& folder : folders) {
    const std::filesystem::path file = score_file(output, folder);
    const std::string data = digest_of_task(folder);
    if (std::filesystem::exists(file)) {  // of a run that was cut off, or of fewer tasks
      results.push_back(read_result(file, embedder, data, max_items));
    } else {
      TaskOptions protocol;
      protocol.most_items = max_items;
      protocol.classification.samples_per_label = 0;  // as many as MTEB takes on a set of that name
      const std::string instruction = instruction_of(folder, settings.config.prompts);
      EmbeddedTable& texts =
          tables.try_emplace(instruction, pass, settings, text_encoding(options, settings, model), instruction, options.quiet)
              .first->second;
      const Task task = io::read_task(folder, texts.table, protocol);
      const TaskResult result = task.evaluate(texts.embeddings(options.label + folder.name), ExecutorRef(executor));
      results.push_back(to_json(folder, result, embedder));
      results.back()["max_items"] = max_items;
      results.back()["data"] = data;
      results.back()["model"] = options.model;  // for people: what counts are the contents
      results.back()["trained"] = options.head;
      write_text_file(file, io::json_text(results.back(), 1) + "\n");
    }
    scored(results.back());
  }
  for (const auto& [instruction, table] : tables)
    if (!options.quiet) table.cut().report(options.label);
  return results;
}

}  // namespace embedpool::program
