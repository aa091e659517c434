#include <doctest/doctest.h>
#include <zlib.h>

#include <set>

#include "embedpool/train/batch_plan.hpp"
#include "embedpool/train/training_batch.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;

namespace {

std::string message(const std::vector<std::string>& files, BadLines bad_lines = BadLines::refused) {
  try {
    read_training_data(files, bad_lines);
  } catch (const FileError& error) {
    return error.what();
  }
  return "";
}

const std::string good = R"({"query": "q", "positive": "p"})";

}  // namespace

TEST_CASE("examples are read with their negatives and tasks, from plain and compressed files") {
  const test::TemporaryFolder folder;
  const std::string lines = R"({"task": "b", "query": "q1", "positive": "p1", "negative": "n1"}
{"query": "q2", "positive": "p2", "negative": ["n2", "n3"]}
{"task": "a", "query": "q3", "positive": "p3", "negatives": ["n4"]})";
  const std::string plain = folder.write("plain.jsonl", lines + "\n").string();
  const std::string packed = (folder / "packed.jsonl.gz").string();
  const gzFile file = gzopen(packed.c_str(), "wb");
  gzwrite(file, lines.data(), static_cast<unsigned>(lines.size()));
  gzclose(file);
  for (const std::string& path : {plain, packed}) {
    const TrainingData data = read_training_data({path});
    REQUIRE(data.examples.size() == 3);
    CHECK(data.groups == std::vector<std::string>{"b", path, "a"});
    CHECK(data.examples[0].negatives == std::vector<std::string>{"n1"});
    CHECK(data.examples[1].negatives == std::vector<std::string>{"n2", "n3"});
    CHECK(data.examples[1].group == 1);
    CHECK(data.examples[2].query == "q3");
    CHECK(data.examples[2].negatives == std::vector<std::string>{"n4"});
  }
  CHECK(read_training_data({plain, packed}).examples.size() == 6);
}

TEST_CASE("scored pairs are read with their scores, beside pairs that have none") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("mixed.jsonl", R"({"sentence1": "a", "sentence2": "b", "score": 3.8, "task": "sts"}
{"query": "q", "positive": "p", "score": 1}
{"sentence1": "c", "sentence2": "d", "score": -1, "task": "sts"})").string();
  const TrainingData data = read_training_data({path});
  REQUIRE(data.examples.size() == 3);
  CHECK(data.examples[0].query == "a");
  CHECK(data.examples[0].positive == "b");
  CHECK(data.examples[0].score == 3.8);
  CHECK(!data.examples[1].score);  // of the tool that found the pair, say: a key that means nothing here
  CHECK(data.examples[2].score == -1.0);
  const std::string one = folder.write("one.jsonl", R"({"sentence1": "a", "sentence2": "b", "score": 1, "task": "t"})").string();
  const std::string other = folder.write("other.jsonl", R"({"query": "a", "positive": "b", "task": "t"})").string();
  CHECK(message({one, other}).find("other.jsonl: line 1: task 't' has examples of other kinds") != std::string::npos);
}

TEST_CASE("a teacher's embeddings are read for every text of an example") {
  const test::TemporaryFolder folder;
  const std::string path = folder.write("taught.jsonl",
      R"({"query": "q", "positive": "p", "negative": ["m", "n"], "teacher": [[1, 2], [3, 4], [5, 6], [7, 8]], "task": "t"}
{"query": "r", "positive": "s", "negative": ["o"], "teacher": [[9, 0], [0.5, -1], [2e-3, 1]], "task": "t"}
{"query": "u", "positive": "v"})").string();
  const TrainingData data = read_training_data({path});
  REQUIRE(data.examples.size() == 3);
  CHECK(data.teacher_width == 2);
  CHECK(data.examples[0].teacher == std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(taught_by(data.examples[1]) == TaughtBy::teacher);
  CHECK(taught_by(data.examples[2]) == TaughtBy::positive);
  const auto texts = [&](const std::vector<Index>& chosen, Index most_negatives) {
    return training_batch<std::string>(data, chosen, most_negatives, [](const std::string& text, Index, bool) { return text; });
  };
  const auto batch = texts({1, 0}, 5);  // one negative each
  CHECK(batch.texts == std::vector<std::string>{"r", "q", "s", "p", "o", "m"});
  Matrix<float> expected(6, 2);
  expected << 9, 0, 1, 2, 0.5f, -1, 3, 4, 2e-3f, 1, 5, 6;
  CHECK(batch.teacher == expected);
  CHECK(texts({0}, 0).teacher == Matrix<float>(expected({1, 3}, Eigen::all)));
  CHECK(texts({2}, 5).teacher.size() == 0);
  CHECK_THROWS_WITH_AS(texts({0, 2}, 5), doctest::Contains("examples with a teacher"), ShapeError);
  const std::string wide = folder.write("wide.jsonl", R"({"query": "q", "positive": "p", "teacher": [[1, 2, 3], [4, 5, 6]]})").string();
  CHECK(message({path, wide}).find("teacher: an embedding has 3 values, another 2") != std::string::npos);
  const std::string plain = folder.write("plain.jsonl", R"({"query": "q", "positive": "p", "task": "t"})").string();
  CHECK(message({path, plain}).find("plain.jsonl: line 1: task 't' has examples of other kinds") != std::string::npos);
}

TEST_CASE("a bad line is refused with file, line and cause, or counted") {
  const test::TemporaryFolder folder;
  const std::pair<const char*, const char*> cases[] = {
      {"{\"query\": \"q\"}", "positive"},
      {"{\"query\": \"\", \"positive\": \"p\"}", "query: is empty"},
      {"{\"query\": \" \\n\", \"positive\": \"p\"}", "query: is empty"},
      {"{\"query\": 3, \"positive\": \"p\"}", "query: must be a string"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"negative\": [\"n\", 1]}", "negative: must be a string"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"task\": 1}", "task"},
      {"{\"sentence1\": \"a\", \"sentence2\": \"b\"}", "score"},
      {"{\"sentence1\": \"a\", \"score\": 1}", "sentence2"},
      {"{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": \"1\"}", "score: must be a finite number"},
      {"{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 1, \"negative\": \"c\"}", "negative: a scored pair has none"},
      {"{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 1}", "has examples of other kinds"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": [[1], [2]]}", "has examples of other kinds"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": [[1]]}", "teacher: has 1 embeddings, for 2 texts"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": 1}", "teacher: must be a list of embeddings"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": [[1], []]}", "teacher: an embedding must be a list of numbers"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": [[1], [\"1\"]]}", "teacher: an embedding must be a list of numbers"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": [[1], [1e99]]}", "teacher: an embedding holds a value that is no finite float"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": [[1, 2], [1]]}", "teacher: an embedding has 1 values, another 2"},
      {"{\"query\": \"q\", \"positive\": \"p\", \"teacher\": [[1], [0]]}", "teacher: an embedding is zero"},
      {"{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 1, \"teacher\": [[1], [2]]}", "teacher: a scored pair has none"},
      {"[1]", ""},
      {"{\"query\": ", "JSON"},
      {"", "is empty"},
      {"\xff\xfe", "UTF-8"}};
  for (const auto& [line, cause] : cases) {
    const std::string shown = cause;
    CAPTURE(shown);
    const std::string path = folder.write("bad.jsonl", good + "\n" + line + "\n" + good + "\n").string();
    const std::string error = message({path});
    CHECK(error.find("bad.jsonl") != std::string::npos);
    CHECK(error.find("line 2") != std::string::npos);
    CHECK(error.find(cause) != std::string::npos);
    const TrainingData data = read_training_data({path}, BadLines::skipped);
    CHECK(data.skipped_lines == 1);
    CHECK(data.examples.size() == 2);
  }
}

TEST_CASE("a file that is missing, broken or without examples is refused even where lines may be skipped") {
  const test::TemporaryFolder folder;
  const std::string empty = folder.write("empty.jsonl", "").string(), bad = folder.write("bad.jsonl", "x\ny\n").string();
  CHECK(message({empty}, BadLines::skipped).find("holds no training example") != std::string::npos);
  CHECK(message({bad}, BadLines::skipped).find("holds no training example") != std::string::npos);
  CHECK(!message({(folder / "missing").string()}, BadLines::skipped).empty());
  const std::string packed = (folder / "cut.jsonl.gz").string();
  const gzFile file = gzopen(packed.c_str(), "wb");
  std::string many;
  for (int i = 0; i < 3000; ++i) many += R"({"query": "q)" + std::to_string(i * 7919) + R"(", "positive": "p"})" + "\n";
  gzwrite(file, many.data(), static_cast<unsigned>(many.size()));
  gzclose(file);
  std::filesystem::resize_file(packed, std::filesystem::file_size(packed) / 2);
  CHECK(message({packed}, BadLines::skipped).find("ends early") != std::string::npos);
}

TEST_CASE("an epoch uses every example at most once, in whole batches, and another epoch in another order") {
  for (const BatchMixing mixing : {BatchMixing::mixed, BatchMixing::one_group}) {
    std::vector<Index> groups;
    for (Index i = 0; i < 103; ++i) groups.push_back(i % 10 == 0 ? 2 : i % 2);
    BatchPlan plan(groups, 8, 5, mixing);
    CHECK(plan.batches_per_epoch() == 12);  // of 103; and of 51, 41 and 11: 6 + 5 + 1
    std::vector<std::vector<Index>> first;
    std::set<Index> used;
    for (Index step = 0; step < plan.batches_per_epoch(); ++step) {
      first.push_back(plan.batch(step));
      CHECK(first.back().size() == 8);
      std::set<Index> kinds;
      for (const Index i : first.back()) {
        CHECK(used.insert(i).second);
        kinds.insert(groups[static_cast<std::size_t>(i)]);
      }
      if (mixing == BatchMixing::one_group) CHECK(kinds.size() == 1);
    }
    CHECK(plan.batch(plan.batches_per_epoch()) != first[0]);
    BatchPlan again(groups, 8, 5, mixing), other(groups, 8, 6, mixing);
    CHECK(again.batch(3) == first[3]);  // without the steps before it
    CHECK(other.batch(3) != first[3]);
  }
}

TEST_CASE("groups too small for a batch are named, and a plan without any batch is refused") {
  BatchPlan plan({0, 0, 0, 0, 1, 2, 2, 2}, 3, 1, BatchMixing::one_group);
  CHECK(plan.unused_groups() == std::vector<Index>{1});
  CHECK(plan.batches_per_epoch() == 2);
  CHECK_THROWS_WITH_AS(BatchPlan({0, 1, 0, 1}, 3, 1, BatchMixing::one_group),
                       "batch plan: 4 examples make no batch of 3, no group of the 2 has so many", ShapeError);
  CHECK_THROWS_WITH_AS(BatchPlan({0, 1}, 3, 1, BatchMixing::mixed), "batch plan: 2 examples make no batch of 3", ShapeError);
  CHECK_THROWS_AS(BatchPlan({}, 3, 1, BatchMixing::mixed), ShapeError);
  CHECK_THROWS_WITH_AS(plan.batch(-1), doctest::Contains("step"), ShapeError);
}

TEST_CASE("a batch lists queries, positives and negatives, and numbers equal documents alike") {
  TrainingData data;
  data.examples = {{"q0", "p", {"a", "b"}, 0}, {"q1", "x", {"c"}, 1}, {"q2", "p", {"d", "e", "f"}, 0}};
  const auto texts = [&](const std::vector<Index>& chosen, Index most) {
    return training_batch<std::string>(data, chosen, most, [](const std::string& text, Index group, bool is_query) {
      return is_query ? std::to_string(group) + ": " + text : text;
    });
  };
  const auto all = texts({0, 1, 2}, 5);
  CHECK(all.texts == std::vector<std::string>{"0: q0", "1: q1", "0: q2", "p", "x", "p", "a", "c", "d"});
  CHECK(all.documents == std::vector<std::int64_t>{0, 1, 0, 2, 3, 4});
  CHECK(all.queries == 3);
  CHECK(texts({0, 2}, 5).texts == std::vector<std::string>{"0: q0", "0: q2", "p", "p", "a", "b", "d", "e"});
  CHECK(texts({0, 2}, 1).texts.size() == 6);
  data.examples[1].negatives = {"p"};  // the positive of others, mined
  CHECK(texts({0, 1, 2}, 1).documents == std::vector<std::int64_t>{0, 1, 0, 2, 0, 3});
  CHECK(texts({0, 2}, 0).texts.size() == 4);
  CHECK(texts({0, 2}, 0).scores.empty());
  data.examples.push_back({"a", "b", {}, 2, 0.5});
  data.examples.push_back({"c", "d", {}, 2, 0.7});
  CHECK(texts({3, 4}, 5).texts == std::vector<std::string>{"2: a", "2: c", "2: b", "2: d"});  // both of a pair are queries
  CHECK(texts({3, 4}, 5).scores == std::vector<double>{0.5, 0.7});
  CHECK_THROWS_WITH_AS(texts({0, 3}, 5), doctest::Contains("scores"), ShapeError);
}
