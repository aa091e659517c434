// What is wrong with data sets in practice, for every kind of task that it can happen to: one error that names the file and
// the line, or a score by a rule that the reader states.
#include <doctest/doctest.h>

#include <cmath>

#include "embedpool/core/executor_ref.hpp"
#include "embedpool/io/task_data/read_task.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;
using enum TaskKind;

namespace {

using Files = std::vector<std::pair<std::string, std::string>>;
const std::string absent = "(absent)";

const std::string sts_head = "score\tsentence1\tsentence2\n", label_head = "label\ttext\n",
                  pair_head = "label\tsentence1\tsentence2\n", bitext_head = "sentence1\tsentence2\n",
                  judgement_head = "query-id\tcorpus-id\tscore\n";

std::string document(const std::string& id) { return R"({"_id": ")" + id + R"(", "text": "text of )" + id + "\"}\n"; }
std::string sentences(const std::string& texts, const std::string& labels) {
  return R"({"sentences": [)" + texts + R"(], "labels": [)" + labels + "]}\n";
}
std::string reranked(const std::string& query, const std::string& positive, const std::string& negative) {
  return R"({"query": )" + query + R"(, "positive": [)" + positive + R"(], "negative": [)" + negative + "]}\n";
}
std::string article(const std::string& id, const std::string& relevance) {
  return R"({"id": ")" + id + R"(", "human_summaries": ["h"], "machine_summaries": ["a", "b", "c"], "relevance": [)" +
         relevance + "]}\n";
}

/// A set of the kind that nothing is wrong with.
Files sound(TaskKind kind) {
  switch (kind) {
    case sts: return {{"test.tsv", sts_head + "1\ta\tb\n2\tc\td\n3\te\tf\n"}};
    case classification:
      return {{"train.tsv", label_head + "x\ta\ny\tb\nx\tc\ny\td\n"}, {"test.tsv", label_head + "x\te\ny\tf\n"}};
    case clustering: return {{"test.tsv", label_head + "x\ta\ny\tb\nx\tc\ny\td\n"}};
    case pair_classification: return {{"test.tsv", pair_head + "1\ta\tb\n0\tc\td\n"}};
    case reranking: return {{"test.jsonl", reranked("\"q\"", "\"a\"", "\"b\"") + reranked("\"r\"", "\"b\"", "\"a\"")}};
    case retrieval:
      return {{"corpus.jsonl", document("d1") + document("d2")},
              {"queries.jsonl", document("q1") + document("q2")},
              {"qrels/test.tsv", judgement_head + "q1\td1\t1\nq2\td2\t1\n"}};
    case summarization: return {{"test.jsonl", article("1", "1, 2, 3") + article("2", "3, 1, 2")}};
    case bitext: return {{"test.tsv", bitext_head + "a\tb\nc\td\n"}};
  }
  return {};
}

/// One file of a sound set made bad or taken away.
struct BadFile {
  TaskKind kind;
  std::string file, content;
  std::vector<std::string> message;  ///< parts of it; none where a stated rule makes a score
};

void write(const test::TemporaryFolder& folder, const Files& files) {
  for (const auto& [name, content] : files) folder.write("Set/" + name, content);
}

/// Reads and scores the set with three sorts of embeddings: nothing is ever less than finite.
void check_finite(const test::TemporaryFolder& folder, TaskKind kind) {
  TextTable table;
  const Task task = io::read_task({kind, "Set", folder / "Set", "test"}, table);
  SerialExecutor serial;
  const Index n = table.size();
  Matrix<float> ramp(n, 3);
  for (Index i = 0; i < ramp.size(); ++i) ramp.data()[i] = std::sin(static_cast<float>(i * i));
  const Matrix<float> ones = Matrix<float>::Ones(n, 3), zeros = Matrix<float>::Zero(n, 3);
  for (const Matrix<float>& embeddings : {ramp, ones, zeros}) {
    const TaskResult result = task.evaluate(rows_of(embeddings), serial);
    for (const auto& metric : result.metrics) {
      CAPTURE(metric.first);
      CHECK(std::isfinite(metric.second));
    }
    for (const double score : result.item_scores) CHECK(std::isfinite(score));
  }
}

void check(const BadFile& bad) {
  const std::string kind(name_of(bad.kind));
  CAPTURE(kind);
  CAPTURE(bad.file);
  CAPTURE(bad.content);
  test::TemporaryFolder folder;
  write(folder, sound(bad.kind));
  if (bad.content == absent) std::filesystem::remove(folder / ("Set/" + bad.file));
  else folder.write("Set/" + bad.file, bad.content);
  if (bad.file == "test.jsonl") std::filesystem::remove(folder / "Set/test.tsv");  // which would be read in its place
  if (bad.message.empty()) return check_finite(folder, bad.kind);
  std::string message;
  try {
    TextTable table;
    io::read_task({bad.kind, "Set", folder / "Set", "test"}, table);
  } catch (const FileError& error) {
    message = error.what();
  }
  CAPTURE(message);
  CHECK(message.find(bad.content == absent ? (folder / "Set").string() : bad.file) != std::string::npos);
  for (const std::string& part : bad.message) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
  CHECK(message.find('\n') == std::string::npos);
}

}  // namespace

TEST_CASE("sets that nothing is wrong with are scored") {
  for (const TaskKind kind : every_task_kind) {
    test::TemporaryFolder folder;
    write(folder, sound(kind));
    check_finite(folder, kind);
  }
}

TEST_CASE("a missing file is named, each one of every kind") {
  for (const TaskKind kind : every_task_kind)
    for (const auto& [file, content] : sound(kind)) check({kind, file, absent, {"there is no", file}});
}

TEST_CASE("an unknown label is refused with its line") {
  check({classification, "test.tsv", label_head + "x\te\nz\tf\n", {"line 3", "'z'", "none of the training set"}});
  check({classification, "test.tsv", label_head + "\te\n", {"line 2", "''", "none of the training set"}});
  check({classification, "train.tsv", label_head + "x\ta\n\tb\n", {"line 3", "label is empty"}});
  check({clustering, "test.tsv", label_head + "x\ta\n\tb\nx\tc\n", {"line 3", "label is empty"}});
  check({clustering, "test.jsonl", sentences(R"("a", "b", "c")", R"("x", "", "x")"), {"line 1", "labels", "empty"}});
  check({clustering, "test.jsonl", sentences(R"("a", "b", "c")", R"("x", null, "x")"), {"line 1", "labels", "whole numbers"}});
  check({pair_classification, "test.tsv", pair_head + "1\ta\tb\n2\tc\td\n", {"line 3", "0 or 1", "'2'"}});
  check({pair_classification, "test.tsv", pair_head + "1.0\ta\tb\n", {"line 2", "0 or 1"}});
  check({pair_classification, "test.tsv", pair_head + "\ta\tb\n", {"line 2", "0 or 1", "''"}});
}

TEST_CASE("a query without judgement, or an item without its counterpart, follows a rule or is refused with its line") {
  check({retrieval, "qrels/test.tsv", judgement_head + "q1\td1\t1\n", {}});             // q2 is of another split
  check({retrieval, "qrels/test.tsv", judgement_head + "q1\td1\t0\nq2\td2\t-1\n", {}});  // judged, but nothing found: 0
  check({retrieval, "qrels/test.tsv", judgement_head, {"holds no judgements"}});
  check({retrieval, "qrels/test.tsv", judgement_head + "q1\td1\t1\nq9\td1\t1\n", {"line 3", "query 'q9'", "queries.jsonl"}});
  check({retrieval, "qrels/test.tsv", judgement_head + "q1\td9\t1\n", {"line 2", "document 'd9'", "corpus.jsonl"}});
  check({reranking, "test.jsonl", reranked("\"q\"", "\"a\"", "\"b\"") + reranked("\"r\"", "", "\"a\""), {}});
  check({reranking, "test.jsonl", reranked("\"q\"", "\"a\"", "") + reranked("\"r\"", "", "\"a\""), {"no query with positives"}});
  check({reranking, "test.jsonl", "{\"query\": \"q\", \"positive\": [\"a\"]}\n", {"line 1", "negative", "missing"}});
  check({reranking, "test.jsonl", reranked("[]", "\"a\"", "\"b\""), {"line 1", "query", "no text"}});
  check({summarization, "test.jsonl", article("1", "1, 2"), {"line 1", "relevance", "2 numbers"}});
  check({sts, "test.tsv", sts_head + "1\ta\tb\n2\tc\n", {"line 3", "2 fields"}});
  check({bitext, "test.tsv", bitext_head + "a\tb\nc\t \n", {"line 3", "sentence2 is empty"}});
  check({bitext, "test.tsv", bitext_head + "a\tb\n", {"fewer than two pairs"}});
}

TEST_CASE("ids that stand twice are refused with their line") {
  check({retrieval, "corpus.jsonl", document("d1") + document("d2") + document("d1"), {"line 3", "'d1' stands twice"}});
  check({retrieval, "queries.jsonl", document("q1") + document("q1"), {"line 2", "'q1' stands twice"}});
  check({retrieval, "qrels/test.tsv", judgement_head + "q1\td1\t1\nq1\td1\t2\n", {"line 3", "has judged 'd1' before"}});
  check({summarization, "test.jsonl", article("1", "1, 2, 3") + article("1", "1, 2, 3"), {"line 2", "id", "\"1\" stands twice"}});
}

TEST_CASE("scores that are not numbers are refused with their line") {
  for (const char* score : {"nan", "inf", "-inf", "high", "", "1,5", "1e999", "0x10"})
    check({sts, "test.tsv", sts_head + "1\ta\tb\n" + score + "\tc\td\n", {"line 3", "score is no number"}});
  for (const char* score : {"nan", "yes", "", "1.5", "99999999999"})
    check({retrieval, "qrels/test.tsv", judgement_head + "q1\td1\t" + score + "\n", {"line 2", "no whole number"}});
  for (const char* rating : {"\"2\"", "null", "[2]", "true"})
    check({summarization, "test.jsonl", article("1", std::string("1, 3, ") + rating), {"line 1", "relevance", "no number"}});
  for (const char* rating : {"NaN", "1e999", "Infinity"})
    check({summarization, "test.jsonl", article("1", std::string("1, 3, ") + rating), {"line 1", "not valid JSON"}});
}

TEST_CASE("sets of one class, or of scores that never vary, are refused") {
  check({sts, "test.tsv", sts_head + "1\ta\tb\n1\tc\td\n", {"all scores are equal"}});
  check({classification, "train.tsv", label_head + "x\ta\nx\tb\n", {"label 'x'"}});
  check({classification, "test.tsv", label_head + "x\te\nx\tf\n", {}});  // one class to test alone: an accuracy like any other
  check({classification, "test.tsv", label_head + "y\te\n", {}});
  check({clustering, "test.tsv", label_head + "x\ta\nx\tb\n", {"label 'x'"}});
  check({clustering, "test.jsonl", sentences(R"("a", "b", "c")", "1, 2, 2") + sentences(R"("a", "b", "c")", "1, 1, 1"),
         {"line 2", "label '1'"}});
  check({pair_classification, "test.tsv", pair_head + "1\ta\tb\n1\tc\td\n", {"all labels are 1"}});
  check({pair_classification, "test.tsv", pair_head + "0\ta\tb\n", {"all labels are 0"}});
  check({summarization, "test.jsonl", article("1", "2, 2, 2"), {"no article whose ratings vary"}});
  check({summarization, "test.jsonl", article("1", "2, 2, 2") + article("2", "1, 2, 2"), {}});  // the first is left out
}

TEST_CASE("fewer texts than clusters, few samples and sets without items") {
  check({clustering, "test.tsv", label_head + "x\ta\ny\tb\n", {"2 texts for 2 clusters"}});
  check({clustering, "test.jsonl", sentences(R"("a", "b", "c")", "1, 2, 2") + sentences(R"("a", "b")", "1, 2"),
         {"line 2", "2 texts for 2 clusters"}});
  check({classification, "train.tsv", label_head + "x\ta\ny\tb\n", {}});  // a label with few samples gives all that it has
  for (const TaskKind kind : every_task_kind)
    for (const auto& [file, content] : sound(kind)) {
      check({kind, file, "", {file.ends_with(".tsv") ? "is empty" : "holds no"}});
      if (file.ends_with(".tsv")) check({kind, file, content.substr(0, content.find('\n') + 1), {"holds"}});
    }
}

TEST_CASE("texts that are empty are refused with their line or id") {
  check({classification, "test.tsv", label_head + "x\te\ny\t\n", {"line 3", "text is empty"}});
  const std::string empty = R"({"_id": "1", "title": " ", "text": "\u3000"})" "\n";
  check({retrieval, "corpus.jsonl", document("d1") + document("d2") + empty, {}});  // never found
  check({retrieval, "corpus.jsonl", empty, {"corpus.jsonl", "holds no texts"}});
  check({retrieval, "queries.jsonl", document("q1") + document("q2") + empty, {}});  // of another split
  check({retrieval, "queries.jsonl", document("q1") + R"({"_id": "q2", "text": ""})", {"queries.jsonl", "'q2'", "is empty"}});
  check({clustering, "test.jsonl", sentences(R"("a", " ", "c")", "1, 2, 2"), {"line 1", "sentences", "empty"}});
  check({reranking, "test.jsonl", reranked("\"q\"", "\"a\"", R"("b", "")"), {"line 1", "negative", "empty"}});
  check({reranking, "test.jsonl", reranked("\"\"", "\"a\"", "\"b\""), {"line 1", "query", "empty"}});
  check({summarization, "test.jsonl",
         R"({"human_summaries": [""], "machine_summaries": ["a", "b", "c"], "relevance": [1, 2, 3]})",
         {"line 1", "human_summaries", "empty"}});
}

TEST_CASE("data that a program made itself is checked by the task") {
  TextTable table;
  const double nan = std::nan("");
  CHECK_THROWS_AS(StsTask(StsData{{{"a", "b", 1}, {"c", "d", nan}}}, table), ShapeError);
  CHECK_THROWS_AS(StsTask(StsData{{{"a", "b", 1}, {"c", "d", 1e200}}}, table), ShapeError);
  CHECK_THROWS_AS(SummarizationTask(SummarizationData{{{{"h"}, {"a", "b", "c"}, {1, 2, nan}}}}, table), ShapeError);
  CHECK_THROWS_AS(SummarizationTask(SummarizationData{{{{"h"}, {"a", "b", "c"}, {1, 2}}}}, table), ShapeError);
  CHECK_THROWS_AS(ClassificationTask(ClassificationData{{"x", "y"}, {{"a", "b"}, {0, 1}}, {{"c"}, {2}}}, table), ShapeError);
  CHECK_THROWS_AS(ClassificationTask(ClassificationData{{"x", "y"}, {{"a", "b"}, {0, -1}}, {{"c"}, {1}}}, table), ShapeError);
  CHECK_THROWS_AS(ClassificationTask(ClassificationData{{"x", "y"}, {{"a", "b"}, {0}}, {{"c"}, {1}}}, table), ShapeError);
  CHECK_THROWS_AS(ClusteringTask(ClusteringData{{{{"a", "b", "c"}, {0, 1}}}}, table), ShapeError);
  CHECK_THROWS_AS(ClusteringTask(ClusteringData{{{{"a", "b"}, {0, 1}}}}, table), ShapeError);
  CHECK_THROWS_AS(RetrievalTask(RetrievalData{{{"d", "a"}}, {{"q", "b"}}, {{{1, 1}}}}, table), ShapeError);
  CHECK_THROWS_AS(RetrievalTask(RetrievalData{{{"d", "a"}}, {{"q", "b"}}, {}}, table), ShapeError);
  CHECK_THROWS_AS(RetrievalTask(RetrievalData{{{"d", ""}}, {{"q", "b"}}, {{{0, 1}}}}, table), ShapeError);
  CHECK_THROWS_AS(BitextTask(BitextData{{"a", "b"}, {"c"}}, table), ShapeError);
  CHECK_THROWS_AS(BitextTask(BitextData{}, table), ShapeError);
}
