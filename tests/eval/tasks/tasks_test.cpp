#include <doctest/doctest.h>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/tasks/bitext_task.hpp"
#include "embedpool/eval/tasks/classification_task.hpp"
#include "embedpool/eval/tasks/clustering_task.hpp"
#include "embedpool/eval/tasks/pair_classification_task.hpp"
#include "embedpool/eval/tasks/reranking_task.hpp"
#include "embedpool/eval/tasks/require_data.hpp"
#include "embedpool/eval/tasks/retrieval_task.hpp"
#include "embedpool/eval/tasks/sts_task.hpp"
#include "embedpool/eval/tasks/summarization_task.hpp"
#include "embedpool/eval/tasks/task.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "eval/tasks/embedded_texts.hpp"

using namespace embedpool;

namespace {

using Vectors = std::map<std::string, std::vector<float>>;

TaskResult evaluate(const Task& task, const TextTable& table, const Vectors& vectors) {
  SerialExecutor serial;
  const Matrix<float> embeddings = test::embedded(table, vectors);
  return task.evaluate(rows_of(embeddings), serial);
}

/// n texts a label, of vectors about one axis a label.
LabelledTexts labelled(const std::string& prefix, Index labels, Index n, Vectors& vectors) {
  LabelledTexts texts;
  for (Index i = 0; i < n * labels; ++i) {
    texts.labels.push_back(i % labels);
    texts.texts.push_back(prefix + std::to_string(i));
    std::vector<float> vector(static_cast<std::size_t>(labels), 0.f);
    vector[static_cast<std::size_t>(i % labels)] = 3;
    for (std::size_t j = 0; j < vector.size(); ++j)
      vector[j] += static_cast<float>(random_word(random_key(1, i), static_cast<std::uint32_t>(j))) * 0x1p-32f;
    vectors[texts.texts.back()] = vector;
  }
  return texts;
}

}  // namespace

TEST_CASE("a table holds a text once for each role, and once where roles are alike") {
  TextTable table;
  CHECK(table.add("a", TextRole::query) == 0);
  CHECK(table.add("b", TextRole::query) == 1);
  CHECK(table.add("a", TextRole::document) == 2);
  CHECK(table.add("a", TextRole::query) == 0);
  CHECK(table.size() == 3);
  CHECK(table[2].role == TextRole::document);
  TextTable alike(TextTable::Roles::alike);
  CHECK(alike.add("a", TextRole::query) == alike.add("a", TextRole::document));
}

TEST_CASE("tasks share the rows of texts that they have in common") {
  TextTable table;
  const StsTask one(StsData{{{"a", "b", 1}, {"a", "c", 2}}}, table);
  const PairClassificationTask two(PairClassificationData{{{"b", "c", 1}, {"c", "d", 0}}}, table);
  CHECK(table.size() == 4);
}

TEST_CASE("sentence pairs score by the ranks of their cosines, and their items have the correlation as mean") {
  TextTable table;
  const Task task = StsTask(StsData{{{"x", "x2", 5}, {"x", "xy", 3}, {"x", "y", 4}, {"x", "-x", 0}}}, table);
  const TaskResult result =
      evaluate(task, table, {{"x", {1, 0}}, {"x2", {2, 0}}, {"xy", {1, 1}}, {"y", {0, 1}}, {"-x", {-3, 0}}});
  // Ranks of cosines 4 3 2 1, of scores 4 2 3 1: 1 - 6 * 2 / (4 * 15)
  CHECK(result.main() == doctest::Approx(0.8).epsilon(1e-14));
  CHECK(mean_of(result.item_scores) == doctest::Approx(0.8).epsilon(1e-14));
  CHECK(task.kind() == TaskKind::sts);
}

TEST_CASE("embeddings that are all alike score nothing, and never what is not a number") {
  TextTable table;
  const Task sts = StsTask(StsData{{{"a", "b", 1}, {"b", "c", 2}}}, table);
  const Task summaries = SummarizationTask(SummarizationData{{{{"a"}, {"b", "c", "d"}, {1, 2, 3}}}}, table);
  const Vectors same = {{"a", {1, 1}}, {"b", {1, 1}}, {"c", {1, 1}}, {"d", {1, 1}}};
  for (const Task& task : {sts, summaries})
    for (const auto& metric : evaluate(task, table, same).metrics) CHECK(metric.second == 0);
}

TEST_CASE("embeddings that are not finite, or are missing, are refused") {
  TextTable table;
  const Task task = StsTask(StsData{{{"a", "b", 1}, {"b", "c", 2}}}, table);
  Matrix<float> embeddings = Matrix<float>::Ones(3, 2);
  embeddings(2, 1) = std::nanf("");
  SerialExecutor serial;
  CHECK_THROWS_AS(task.evaluate(rows_of(std::as_const(embeddings)), serial), ShapeError);
  const Matrix<float> few = Matrix<float>::Ones(2, 2);
  CHECK_THROWS_AS(task.evaluate(rows_of(few), serial), ShapeError);
}

TEST_CASE("classification needs the samples of its rounds alone, and tells separate labels apart") {
  Vectors vectors;
  ClassificationData data{{"a", "b", "c"}, labelled("train", 3, 40, vectors), labelled("test", 3, 5, vectors)};
  TextTable table;
  ClassificationOptions options;
  options.rounds = 2;
  options.samples_per_label = 4;
  const Task task = ClassificationTask(data, table, options);
  CHECK(table.size() <= 2 * 3 * 4 + 15);
  CHECK(table.size() >= 3 * 4 + 15);
  const TaskResult result = evaluate(task, table, vectors);
  CHECK(result.main() == doctest::Approx(1).epsilon(1e-14));
  CHECK(result.item_scores.size() == 15);
  CHECK(result.metrics.size() == 3);  // no ap with three labels
}

TEST_CASE("classification counts a text by the share of rounds that get it right") {
  Vectors vectors;
  ClassificationData data{{"0", "1"}, labelled("train", 2, 20, vectors), labelled("test", 2, 4, vectors)};
  std::swap(data.test.labels[0], data.test.labels[1]);  // two wrong labels
  TextTable table;
  const Task task = ClassificationTask(data, table);
  const TaskResult result = evaluate(task, table, vectors);
  CHECK(result.main() == doctest::Approx(0.75).epsilon(1e-14));
  CHECK(result.item_scores[0] == 0);
  CHECK(result.item_scores[2] == doctest::Approx(1).epsilon(1e-14));
  // Predicted 1 for four, three rightly: threshold 1 has P = R = 3/4, threshold 0 P = 1/2 at R = 1.
  CHECK(result.metric("ap") == doctest::Approx(0.75 * 0.75 + 0.25 * 0.5).epsilon(1e-14));
}

TEST_CASE("clustering finds separate labels, in whole sets and in draws of a sample") {
  Vectors vectors;
  const ClusteringData data{{labelled("a", 3, 30, vectors), labelled("b", 2, 20, vectors)}};
  TextTable table, sampled_table;
  const Task whole = ClusteringTask(ClusteringData{{data.sets[0]}}, table);
  const TaskResult one = evaluate(whole, table, vectors);
  CHECK(one.main() == doctest::Approx(1).epsilon(1e-12));
  CHECK(one.item_scores.size() == 1);

  ClusteringOptions fast = ClusteringOptions::mteb_fast(40);
  fast.draws = 3;
  fast.draw_size = 200;
  const Task sampled = ClusteringTask(ClusteringData{{data.sets[0]}}, sampled_table, fast);
  CHECK(sampled_table.size() == 40);
  const TaskResult draws = evaluate(sampled, sampled_table, vectors);
  CHECK(draws.main() == doctest::Approx(1).epsilon(1e-12));
  CHECK(draws.item_scores.size() == 3);
  CHECK_THROWS_AS(ClusteringTask(data, table, ClusteringOptions::mteb_fast(2)), ShapeError);
}

TEST_CASE("reranking takes the nearest of several wordings") {
  TextTable table;
  const Task task = RerankingTask(RerankingData{{{{"q2", "q1"}, {"good"}, {"bad", "worse"}}, {{"q1"}, {"bad"}, {"good"}}}, 0}, table);
  const TaskResult result =
      evaluate(task, table, {{"q1", {1, 0}}, {"q2", {0, 1}}, {"good", {0, 1}}, {"bad", {2, 1}}, {"worse", {-1, -1}}});
  CHECK(result.item_scores == std::vector<double>{1, 1});
  CHECK(result.metric("mrr_at_10") == 1);
}

TEST_CASE("retrieval ranks equal scores by falling id and leaves out the document of the query's own id") {
  RetrievalData data;
  data.documents = {{"d10", "same one"}, {"d9", "same two"}, {"q", "itself"}, {"d1", "far"}};
  data.queries = {{"q", "query"}};
  data.judgements = {{{0, 2}, {1, 1}}};
  const Vectors vectors = {{"same one", {2, 2}}, {"same two", {1, 1}}, {"itself", {1, 0}}, {"far", {-1, 0}}, {"query", {5, 0}}};
  TextTable table;
  const double gain = 1 / std::log2(3.0);
  const Task task = RetrievalTask(data, table);
  // d9 before d10, as strings.
  CHECK(evaluate(task, table, vectors).main() == doctest::Approx((1 + 2 * gain) / (2 + gain)).epsilon(1e-14));
  TextTable other;
  const Task keeping = RetrievalTask(data, other, {1000, false});
  CHECK(evaluate(keeping, other, vectors).metric("mrr_at_10") == 0.5);
  CHECK(evaluate(keeping, other, vectors).metric("precision_at_1") == 0);
}

TEST_CASE("retrieval never finds a document without text, and misses it where it is judged relevant") {
  RetrievalData data;
  data.documents = {{"d5", ""}, {"d2", "far"}, {"d4", "near"}, {"d9", ""}};  // by falling id the empty ones would come first
  data.queries = {{"d9", "query"}};
  data.judgements = {{{2, 1}, {3, 1}}};
  const Vectors vectors = {{"near", {1, 0}}, {"far", {-1, 0}}, {"query", {5, 0}}};
  TextTable table;
  const Task task = RetrievalTask(data, table);
  CHECK(table.size() == 3);
  const TaskResult result = evaluate(task, table, vectors);
  CHECK(result.metric("precision_at_1") == 1);
  CHECK(result.metric("recall_at_1000") == 0.5);
}

TEST_CASE("bitext mining counts the sentences whose translation is nearest") {
  TextTable table;
  const Task task = BitextTask(BitextData{{"a", "b", "c"}, {"A", "B", "C"}}, table);
  const TaskResult result = evaluate(
      task, table, {{"a", {1, 0}}, {"b", {0, 1}}, {"c", {1, 0.1f}}, {"A", {1, 0}}, {"B", {0, 2}}, {"C", {-1, 0}}});
  CHECK(result.item_scores == std::vector<double>{1, 1, 0});
  // Target A was found twice: P 1/2, R 1, F1 2/3; B 1; C 0.
  CHECK(result.main() == doctest::Approx((2.0 / 3 + 1) / 3).epsilon(1e-14));
}

TEST_CASE("results do not depend on the executor, to the bit") {
  Vectors vectors;
  const ClassificationData data{{"a", "b", "c"}, labelled("train", 3, 40, vectors), labelled("test", 3, 50, vectors)};
  RetrievalData retrieval;
  for (const std::string& text : data.test.texts) retrieval.documents.push_back({text, text});
  for (std::size_t q = 0; q < 20; ++q) {
    retrieval.queries.push_back({"q" + std::to_string(q), data.train.texts[q]});
    retrieval.judgements.push_back({{static_cast<Index>(q), 1}});
  }
  TextTable table;
  const std::vector<Task> tasks = {ClassificationTask(data, table), ClusteringTask(ClusteringData{{data.test}}, table),
                                   RetrievalTask(retrieval, table)};
  const Matrix<float> embeddings = test::embedded(table, vectors);
  SerialExecutor serial;
  ThreadPool pool(3);
  for (const Task& task : tasks) {
    const TaskResult one = task.evaluate(rows_of(embeddings), serial), two = task.evaluate(rows_of(embeddings), pool);
    CHECK(one.metrics == two.metrics);
    CHECK(one.item_scores == two.item_scores);
  }
}

TEST_CASE("a result gives its metrics by name and refuses others; a correlation that is not defined is 0") {
  const TaskResult result{"map", {{"map", 0.5}, {"mrr", 0.75}}, {}, "map", "query"};
  CHECK(result.main() == 0.5);
  CHECK(result.metric("mrr") == 0.75);
  CHECK_THROWS_WITH_AS(result.metric("ndcg"), "TaskResult: there is no metric 'ndcg'", ShapeError);
  CHECK(detail::defined_or_zero(std::nan("")) == 0);
  CHECK(detail::defined_or_zero(-0.25) == -0.25);
}

TEST_CASE("data that a program made is refused where it does not fit, by the task's name") {
  const double nan = std::nan("");
  for (const double score : {nan, HUGE_VAL, -HUGE_VAL, 1e200})
    CHECK_THROWS_AS(detail::require_scores("Task", std::vector{1.0, score}), ShapeError);
  CHECK_NOTHROW(detail::require_scores("Task", std::vector{1.0, -1e99}));
  CHECK_THROWS_AS(detail::require_labels("Task", {{"a", "b"}, {0}}, 2), ShapeError);
  CHECK_THROWS_AS(detail::require_labels("Task", {{"a"}, {2}}, 2), ShapeError);
  CHECK_THROWS_AS(detail::require_labels("Task", {{"a"}, {-1}}, 2), ShapeError);
  CHECK_NOTHROW(detail::require_labels("Task", {{"a", "b"}, {0, 1}}, 2));
}
