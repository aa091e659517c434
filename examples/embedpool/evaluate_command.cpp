#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>

#include "command.hpp"
#include "embedpool/eval/report/escape.hpp"
#include "evaluation.hpp"
#include "text_file.hpp"

namespace embedpool::program {
namespace {

struct EvaluateOptions : EmbeddingOptions {
  std::string data{}, output{};
  std::vector<std::string> tasks{};
  Index max_items = 0;
};

/// A table of main scores, and their mean by kind and in all.
std::string markdown(const std::vector<io::Json>& results, const std::string& title) {
  std::string text = "# " + report::escape_markdown(title) + "\n\n| kind | task | metric | score x 100 |\n|---|---|---|---|\n";
  std::map<std::string, std::pair<double, int>> kinds;
  double sum = 0;
  char line[200];
  for (const io::Json& result : results) {
    const double score = 100 * result.at("main_score").get<double>();
    const auto kind = result.at("kind").get<std::string>();
    text += "| " + kind + " | " + report::escape_markdown(result.at("task").get<std::string>()) + " | ";
    std::snprintf(line, sizeof line, "%.40s | %.2f |\n", result.at("main_metric").get<std::string>().c_str(), score);
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

/// Refuses an instruction that no data set follows.
void check_instructions(const EvaluateOptions& options) {
  const std::vector<io::TaskFolder> folders = io::find_tasks(options.data);
  for (const auto& instruction : parse_instructions(options.instructions)) {
    const auto is_its = [&](const io::TaskFolder& folder) { return folder.name == instruction.first; };
    if (!task_kind_of(instruction.first) && std::none_of(folders.begin(), folders.end(), is_its))
      throw ShapeError("--instruction " + instruction.first + "=" + instruction.second +
                       ": no data set and no kind of them is called so");
  }
}

void evaluate(const EvaluateOptions& options) {
  check_instructions(options);
  const Model model(options.model);
  const std::filesystem::path output(options.output);
  const auto results = evaluate_tasks(
      options, model, chosen_tasks(options.data, options.tasks), options.max_items, output, [](const io::Json& result) {
        std::printf("%-20s %-32s %-18s %6.2f\n", result.at("kind").get<std::string>().c_str(),
                    result.at("task").get<std::string>().c_str(), result.at("main_metric").get<std::string>().c_str(),
                    100 * result.at("main_score").get<double>());
        std::fflush(stdout);
      });
  write_text_file(output / "results.md", markdown(results, options.head.empty() ? options.model : options.head));
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
  add_task_options(*command, options->tasks, options->max_items);
  command
      ->add_option("--output", options->output,
                   "folder for a JSON file a task, with all metrics and the scores of single items, and results.md. Tasks "
                   "that are there already are not done again")
      ->required()->type_name("DIR");
  command
      ->add_option("--instruction", options->instructions,
                   "KIND=TEXT or NAME=TEXT: what stands in front of the queries of a kind of data sets, such as sts, or of "
                   "one; where texts are all of one sort, in front of each. Those of a trained folder hold as well")
      ->type_name("KIND=TEXT");
  add_key_options(*command, *options);
  add_saved_options(*command, *options);
  command->remove_option(command->get_option("--task"));  // instructions go by the names and kinds of data sets
  add_run_options(*command, *options);
  command->footer(
      "Examples:\n"
      "  embedpool evaluate --model m.gguf --data data --output scores\n"
      "  embedpool evaluate --model m.gguf --trained trained --data data --tasks sts Banking77 --compute int8 "
      "--output trained-scores");
  command->callback([options] { evaluate(*options); });
}

}  // namespace embedpool::program
