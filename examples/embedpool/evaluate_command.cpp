#include <algorithm>
#include <cstdio>
#include <memory>

#include "command.hpp"
#include "embedding_options.hpp"
#include "embedpool/io/atomic_file.hpp"
#include "embedpool/io/task_data/read_task.hpp"
#include "progress.hpp"
#include "settings.hpp"

namespace embedpool::program {
namespace {

struct EvaluateOptions : EmbeddingOptions {
  std::string data{}, output{};
  std::vector<std::string> tasks{};
  Index max_items = 0;
};

/// The data sets that --tasks names, by kind or by name; all without it.
std::vector<io::TaskFolder> chosen_tasks(const EvaluateOptions& options) {
  const std::vector<io::TaskFolder> all = io::find_tasks(options.data);
  if (options.tasks.empty()) return all;
  std::vector<io::TaskFolder> chosen;
  for (const std::string& wanted : options.tasks) {
    const std::size_t before = chosen.size();
    for (const io::TaskFolder& folder : all)
      if (wanted == folder.name || wanted == name_of(folder.kind)) chosen.push_back(folder);
    if (chosen.size() == before) throw FileError(options.data, "", "has no task or kind of tasks '" + wanted + "'");
  }
  return chosen;
}

/// Embeddings of the texts of a table, each text once however many tasks have it.
class EmbeddedTable {
 public:
  EmbeddedTable(ForwardPass& pass, const Settings& settings, TextEncoding encoding, bool quiet)
      : pass_(pass), settings_(settings), encoding_(std::move(encoding)), quiet_(quiet) {}

  TextTable table{TextTable::Roles::alike};

  /// Embeds what was added since the last time.
  Rows<const float> embeddings(const std::string& task) {
    const Index count = table.size();
    if (done_ < count) embed(task, count);
    return rows_of(std::as_const(vectors_));
  }

 private:
  void embed(const std::string& task, Index count) {
    Progress progress(task, quiet_);
    const Index before = done_;
    while (done_ < count) {
      Batch batch;
      while (done_ + batch.segments().size() < count && batch.segments().rows() < encoding_.batch_tokens) {
        const std::string& text = table[done_ + batch.segments().size()].text;
        const auto laid_out = lay_out(task, text);
        batch.add(laid_out.ids, laid_out.shape);
      }
      const Matrix<float> part = pass_.embed(batch, {&settings_.reading, 1}).front();
      if (vectors_.rows() < count) vectors_.conservativeResize(count, part.cols());
      vectors_.middleRows(done_, part.rows()) = part;
      done_ += part.rows();
      progress.add(part.rows(), batch.segments().rows(),
                   static_cast<double>(done_ - before) / static_cast<double>(count - before));
    }
    progress.finish();
  }

  io::LaidOutText lay_out(const std::string& task, const std::string& text) const {
    const auto fail = [&](const std::string& cause) {
      throw ShapeError(task + ": text '" + text.substr(0, 60) + "': " + cause);
    };
    io::LaidOutText laid_out;
    try {
      laid_out = encoding_.layout.lay_out(text, encoding_.encode);
    } catch (const ShapeError& error) {
      fail(error.what());
    }
    if (laid_out.truncated && encoding_.strict)
      fail("is longer than " + std::to_string(encoding_.layout.max_tokens) + " tokens");
    return laid_out;
  }

  ForwardPass& pass_;
  const Settings& settings_;
  TextEncoding encoding_;
  bool quiet_;
  Matrix<float> vectors_;
  Index done_ = 0;
};

io::Json to_json(const io::TaskFolder& folder, const TaskResult& result, const io::Json& embedder) {
  io::Json metrics = io::Json::object();
  for (const auto& [name, value] : result.metrics) metrics[name] = value;
  return {{"task", folder.name},        {"kind", std::string(name_of(folder.kind))},
          {"split", folder.split},      {"main_metric", result.main_metric},
          {"main_score", result.main()}, {"metrics", std::move(metrics)},
          {"item", result.item},        {"item_metric", result.item_metric},
          {"item_scores", result.item_scores}, {"embedder", embedder}};
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  io::AtomicFile file(path);
  file.write(text);
  file.commit();
}

/// A table of main scores, and their mean by kind and in all.
std::string markdown(const std::vector<io::Json>& results, const std::string& title) {
  std::string text = "# " + title + "\n\n| kind | task | metric | score x 100 |\n|---|---|---|---|\n";
  std::map<std::string, std::pair<double, int>> kinds;
  double sum = 0;
  char line[200];
  for (const io::Json& result : results) {
    const double score = 100 * result.at("main_score").get<double>();
    const auto kind = result.at("kind").get<std::string>();
    std::snprintf(line, sizeof line, "| %s | %.80s | %.40s | %.2f |\n", kind.c_str(), result.at("task").get<std::string>().c_str(),
                  result.at("main_metric").get<std::string>().c_str(), score);
    text += line;
    kinds[kind].first += score;
    ++kinds[kind].second;
    sum += score;
  }
  for (const auto& [kind, total] : kinds) {
    std::snprintf(line, sizeof line, "| **%s** | mean of %d | | **%.2f** |\n", kind.c_str(), total.second, total.first / total.second);
    text += line;
  }
  std::snprintf(line, sizeof line, "| **all** | mean of %zu | | **%.2f** |\n", results.size(), sum / static_cast<double>(results.size()));
  return text + line;
}

void evaluate(const EvaluateOptions& options) {
  const Model model(options.model);
  Settings settings = resolve(options, model);
  if (options.verbose) std::fprintf(stderr, "embedpool: settings\n%s", describe(settings.config, model).c_str());
  const std::vector<io::TaskFolder> folders = chosen_tasks(options);
  const std::filesystem::path output(options.output);
  ForwardPass pass(decoder_of(settings, model), settings.config.mask, AnyCompute::parse(options.compute), options.threads);
  pass.prepare(settings.reading);
  ThreadPool executor(options.threads);
  EmbeddedTable texts(pass, settings, text_encoding(options, settings, model), options.quiet);
  const io::Json embedder = {{"model", options.model}, {"trained", options.head}, {"calibration", options.calibration},
                             {"compute", options.compute}, {"settings", io::to_json(settings.config)}};
  const io::Json most_items = options.max_items;
  std::vector<io::Json> results;
  for (const io::TaskFolder& folder : folders) {
    const std::filesystem::path place = output / std::string(name_of(folder.kind));
    const std::filesystem::path file = place / (folder.name + ".json");
    if (std::filesystem::exists(file)) {  // of a run that was cut off, or of fewer tasks
      results.push_back(io::read_json(file));
      if (results.back().value("embedder", io::Json()) != embedder)
        throw FileError(file.string(), "embedder", "is of other settings; name another output folder");
      if (results.back().value("max_items", io::Json(0)) != most_items)
        throw FileError(file.string(), "max_items", "is not " + most_items.dump() + " as now; name another output folder");
    } else {
      TaskOptions protocol;
      protocol.most_items = options.max_items;
      protocol.classification.samples_per_label = 0;  // as many as MTEB takes on a set of that name
      const Task task = io::read_task(folder, texts.table, protocol);
      const TaskResult result = task.evaluate(texts.embeddings(folder.name), ExecutorRef(executor));
      results.push_back(to_json(folder, result, embedder));
      results.back()["max_items"] = most_items;
      std::error_code problem;
      std::filesystem::create_directories(place, problem);
      if (problem) throw FileError(place.string(), "create folder", problem.message());
      write_text(file, results.back().dump(1) + "\n");
    }
    std::printf("%-20s %-32s %-18s %6.2f\n", std::string(name_of(folder.kind)).c_str(), folder.name.c_str(),
                results.back().at("main_metric").get<std::string>().c_str(), 100 * results.back().at("main_score").get<double>());
    std::fflush(stdout);
  }
  write_text(output / "results.md", markdown(results, options.head.empty() ? options.model : options.head));
}

}  // namespace

void add_evaluate_command(CLI::App& program) {
  CLI::App* command = program.add_subcommand(
      "evaluate", "scores on data sets by the MTEB protocol: STS, retrieval, reranking, classification, clustering, pair "
                  "classification, summarization, bitext mining");
  const auto options = std::make_shared<EvaluateOptions>();
  add_model_option(*command, *options);
  command
      ->add_option("--data", options->data,
                   "folder with data sets as sts/NAME, retrieval/NAME, ... (tables or JSON lines, plain or gzip), or one in "
                   "the BEIR layout")
      ->required()->type_name("DIR");
  command->add_option("--tasks", options->tasks, "names of data sets, or kinds such as sts. Default: all")
      ->type_name("NAME");
  command
      ->add_option("--max-items", options->max_items,
                   "sample at most N items of each data set (pairs, texts, queries with ten documents each ...), always "
                   "the same ones: minutes in place of hours, and scores to compare with each other alone. Default: 0, all")
      ->check(CLI::IsMember({0}) | CLI::Range(Index(3), Index(1) << 32))
      ->type_name("N");
  command
      ->add_option("--output", options->output,
                   "folder for a JSON file a task, with all metrics and the scores of single items, and results.md. Tasks "
                   "that are there already are not done again")
      ->required()->type_name("DIR");
  add_key_options(*command, *options);
  add_saved_options(*command, *options);
  add_run_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  embedpool evaluate --model m.gguf --data data --output scores\n"
      "  embedpool evaluate --model m.gguf --trained trained --data data --tasks sts Banking77 --compute int8 --output scores");
  command->callback([options] { evaluate(*options); });
}

}  // namespace embedpool::program
