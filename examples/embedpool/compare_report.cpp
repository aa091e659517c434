#include "compare_report.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "compare_tables.hpp"
#include "embedpool/core/thread_pool.hpp"
#include "embedpool/core/version.hpp"
#include "embedpool/eval/comparison/average_rank.hpp"
#include "embedpool/eval/comparison/recommendation.hpp"
#include "embedpool/eval/report/critical_difference.hpp"
#include "embedpool/eval/report/document.hpp"
#include "text_file.hpp"

namespace embedpool::program {
namespace {

constexpr double significance_level = 0.05;

/// Everything that is tested, once.
struct Tests {
  ComparisonFamily all;
  std::vector<ComparisonFamily> by_kind, by_task;

  explicit Tests(const ScoreTable& table, ExecutorRef executor)
      : all(compare_over_data_sets(table, table.tasks_of(""), "all", executor)) {
    for (const std::string& kind : table.kinds())
      by_kind.push_back(compare_over_data_sets(table, table.tasks_of(kind), kind, executor));
    BootstrapOptions fewer;
    fewer.resamples = 2000;  // of thousands of items, for each pair and data set
    for (Index t = 0; t < table.task_count(); ++t)
      by_task.push_back(compare_within_data_set(table, t, executor, fewer));
  }
};

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name"))
      if (const auto at = line.find(": "); at != std::string::npos) return line.substr(at + 2);
  return "unknown";
}

std::string version() {
  return std::to_string(EMBEDPOOL_VERSION_MAJOR) + "." + std::to_string(EMBEDPOOL_VERSION_MINOR) + "." +
         std::to_string(EMBEDPOOL_VERSION_PATCH);
}

void add_recommendations(report::Document& document, const ComparedRun& run, const Tests& tests) {
  const ScoreTable& table = run.scores;
  std::vector<Index> parameters;
  for (const SystemCost& cost : run.costs) parameters.push_back(cost.parameters);
  document.heading("What to take");
  const std::vector<std::string> kinds = table.kinds();
  std::vector<std::string> lines;
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    std::vector<ComparisonFamily> within;
    for (const Index t : table.tasks_of(kinds[k])) within.push_back(tests.by_task[static_cast<std::size_t>(t)]);
    lines.push_back(kinds[k] + ": " + recommend(table, kinds[k], tests.by_kind[k], within, parameters, significance_level).text);
  }
  document.list(lines);
  document.paragraph(
      "A system counts as better than another if it has the higher mean with every seed and a test says so too: "
      "Wilcoxon's signed-rank test over the kind's data sets, or the one inside more than half of them while none says "
      "the contrary, each with p ≤ 0.05 after Holm's correction. A difference that is not shown may still be there: "
      "of systems that are not told apart, one that trains fewer parameters is preferred only where it is as good with some seed. "
      "Scores are main metrics x 100.");
}

void add_scores(report::Document& document, const ScoreTable& table) {
  document.heading("Scores by kind of task");
  document.table(kind_table(table));
  document.figure("Mean score of each kind of task; lines reach from the lowest to the highest seed.",
                  report::draw(kind_bars(table)));
  document.heading("Scores by data set");
  document.table(task_table(table));
  document.figure("Each data set's score less the mean of all systems on it, x 100.",
                  report::draw(difference_map(table)));
}

void add_tests(report::Document& document, const ScoreTable& table, const Tests& tests) {
  if (table.system_count() < 2) return;
  document.heading("Differences over data sets");
  document.paragraph(
      "Wilcoxon's signed-rank test, two-sided: each data set gives one pair of scores, which are means over seeds; n "
      "counts those that differ. Holm's correction is over the pairs of systems of a table. * p ≤ 0.05, ** p ≤ 0.01, "
      "*** p ≤ 0.001, after it. The interval is that of the mean difference, by bootstrap over data sets. The "
      "rank-biserial correlation goes from -1 (second higher everywhere) to 1 (first higher everywhere).");
  if (const std::string limit = tests.all.limit(significance_level); !limit.empty())
    document.paragraph("All data sets: " + limit + ".");
  document.table(pair_table(tests.all, significance_level));
  const std::vector<double> ranks = average_rank_of_systems(table, table.tasks_of(""));
  document.figure(
      "Average rank over all data sets, 1 the best. A bar joins neighbours of which no pair differs significantly" +
          std::string(tests.all.can_decide(significance_level) ? "." : "; so few data sets cannot tell any two apart."),
      report::draw(report::CriticalDifference{"Average ranks", table.systems(), ranks,
                                              groups_not_told_apart(ranks, tests.all, significance_level)}));
  std::map<std::string, std::string> kinds_by_limit;
  for (const ComparisonFamily& family : tests.by_kind) {
    if (const std::string limit = family.limit(significance_level); !limit.empty()) {
      std::string& kinds = kinds_by_limit[limit];
      kinds += (kinds.empty() ? "" : ", ") + family.scope;
    } else {
      document.subheading("Kind " + family.scope);
      document.table(pair_table(family, significance_level));
    }
  }
  if (!kinds_by_limit.empty()) {
    document.subheading("Kinds with too few data sets for a test over them");
    std::vector<std::string> limits;
    for (const auto& [limit, kinds] : kinds_by_limit) limits.push_back(kinds + ": " + limit + ".");
    document.list(limits);
  }
  document.heading("Differences inside data sets");
  document.paragraph(
      "The same test inside each data set, where each query, pair or text gives one pair of scores. What it says holds "
      "for these trained systems on texts like these. Stars, as above, say that a system differs from the one with the "
      "highest mean; the correction is over all pairs of systems on the data set. All pairs are in pairs.csv.");
  document.table(item_table(table, tests.by_task, significance_level));
  document.list(item_notes(table));
}

void add_repetition(report::Document& document, const CompareOptions& options, const ComparedRun& run) {
  document.heading("Cost");
  document.table(cost_table(run));
  document.paragraph(
      "Time is the mean over seeds of a whole training, head and calibration included. Work done twice because a run "
      "was cut off counts twice; keys that another seed has computed and kept count nothing. Memory is the largest "
      "resident memory during training, with the model file. Parameters are those of adapter and head.");
  document.heading("To repeat it");
  document.code(options.command);
  std::vector<std::string> facts = {
      "embedpool " + version() + ", compiler " + std::string(__VERSION__),
      "processor: " + processor() + ", " + std::to_string(std::thread::hardware_concurrency()) + " threads seen",
      "steps of each training: " + std::to_string(run.plan.at("steps").get<Index>()) +
          (options.minutes ? ", measured from --minutes" : ""),
      "seeds: 0 to " + std::to_string(run.scores.seeds() - 1),
      "model digest (FNV-1a): " + run.plan.at("model_digest").get<std::string>()};
  if (options.max_items > 0)
    facts.push_back("each data set is a sample of at most " + std::to_string(options.max_items) +
                    " items: scores are comparable with each other, not with those of whole data sets");
  document.list(facts);
  document.subheading("Systems");
  std::vector<std::string> systems;
  for (const ComparedSystem& system : run.systems) {
    std::string line = system.name + (system.untrained ? " (untrained):" : ":");
    for (const std::string& flag : system.flags)
      line += " " + (flag.find(' ') == std::string::npos ? flag : "'" + flag + "'");
    systems.push_back(line);
  }
  document.list(systems);
  document.subheading("Data");
  document.table(data_table(run));
}

}  // namespace

void write_comparison_report(const CompareOptions& options, const ComparedRun& run) {
  ThreadPool executor(options.threads);
  const Tests tests(run.scores, ExecutorRef(executor));
  const std::string model = std::filesystem::path(options.model).lexically_normal().filename().string();
  report::Document document(std::to_string(run.systems.size()) + " ways of making embeddings of " + model);
  add_recommendations(document, run, tests);
  add_scores(document, run.scores);
  add_tests(document, run.scores, tests);
  add_repetition(document, options, run);
  const std::filesystem::path output(options.output);
  std::vector<ComparisonFamily> families{tests.all};
  families.insert(families.end(), tests.by_kind.begin(), tests.by_kind.end());
  families.insert(families.end(), tests.by_task.begin(), tests.by_task.end());
  write_text_file(output / "scores.csv", report::to_csv(score_rows(run.scores)));
  write_text_file(output / "pairs.csv", report::to_csv(pair_rows(families, significance_level)));
  write_text_file(output / "report.md", document.markdown());
  write_text_file(output / "report.html", document.html());
}

}  // namespace embedpool::program
