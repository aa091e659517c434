#include "embedpool/io/task_data/read_task.hpp"

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"

using namespace embedpool;

TEST_CASE("data sets are found by kind and name, with the split that is there") {
  test::TemporaryFolder folder;
  folder.write("data/sts/Two/dev.tsv", "score\tsentence1\tsentence2\n1\ta\tb\n2\tb\tc\n");
  folder.write("data/sts/One/test.tsv", "score\tsentence1\tsentence2\n1\ta\tb\n2\tb\td\n");
  folder.write("data/retrieval/Search/corpus.jsonl", R"({"_id": "d", "text": "a"})" "\n" R"({"_id": "e", "text": "z"})" "\n");
  folder.write("data/retrieval/Search/queries.jsonl", R"({"_id": "q", "text": "a"})" "\n");
  folder.write("data/retrieval/Search/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td\t1\n");
  folder.write("data/notes/readme.txt", "not a task");
  const auto found = io::find_tasks(folder / "data");
  REQUIRE(found.size() == 3);
  CHECK(found[0].name == "One");
  CHECK(found[0].split == "test");
  CHECK(found[1].name == "Two");
  CHECK(found[1].split == "dev");
  CHECK(found[2].kind == TaskKind::retrieval);

  TextTable table;
  std::vector<Task> tasks;
  for (const io::TaskFolder& place : found) tasks.push_back(io::read_task(place, table));
  CHECK(table.size() == 4 + 2);  // a b c d as queries, a z as documents
  CHECK(tasks[2].kind() == TaskKind::retrieval);

  for (const char* path : {"data/retrieval/Search", "data/retrieval/Search/", "data/retrieval/Search/.", "data/retrieval/Search/qrels/.."}) {
    CAPTURE(path);
    const auto beir = io::find_tasks(folder / path);
    REQUIRE(beir.size() == 1);
    CHECK(beir[0].name == "Search");
  }
}

TEST_CASE("the files of a data set are its tables and JSON lines, judgements in a linked folder included") {
  test::TemporaryFolder folder;
  for (const char* name : {"qrels-dev.tsv", "corpus.jsonl.gz", "queries.jsonl", "readme.md", "scores/results.md", "scores/log.jsonl"})
    folder.write(std::string("set/") + name, "");
  folder.write("elsewhere/test.tsv", "");
  std::filesystem::create_directory_symlink(folder / "elsewhere", folder / "set/qrels");
  std::vector<std::string> names;
  for (const auto& file : io::data_files(folder / "set")) names.push_back(file.lexically_relative(folder / "set").string());
  CHECK(names == std::vector<std::string>{"corpus.jsonl.gz", "qrels/test.tsv", "qrels-dev.tsv", "queries.jsonl"});
}

TEST_CASE("a directory without data sets, and a set without files, are refused by name") {
  test::TemporaryFolder folder;
  folder.write("empty/notes.txt", "");
  folder.write("data/sts/Nothing/notes.txt", "");
  CHECK_THROWS_AS(io::find_tasks(folder / "empty"), FileError);
  CHECK_THROWS_AS(io::find_tasks(folder / "missing"), FileError);
  TextTable table;
  CHECK_THROWS_WITH_AS(io::read_task(io::find_tasks(folder / "data")[0], table), doctest::Contains("test.tsv"), FileError);
}

TEST_CASE("a classification takes as many samples a label as MTEB does on a set of its name") {
  CHECK(mteb_samples_per_label("AmazonCounterfactual") == 32);
  CHECK(mteb_samples_per_label("EmotionClassification") == 16);
  CHECK(mteb_samples_per_label("Banking77") == 8);
  test::TemporaryFolder folder;
  std::string train = "label\ttext\n";
  for (int i = 0; i < 100; ++i) train += std::to_string(i % 2) + "\ttext " + std::to_string(i) + "\n";
  folder.write("classification/Own/train.tsv", train);
  folder.write("classification/Own/test.tsv", "label\ttext\n0\ttext 1\n");
  TaskOptions options;
  options.classification.samples_per_label = 0;
  options.classification.rounds = 1;
  TextTable table;
  io::read_task({TaskKind::classification, "TweetSentimentExtraction", folder / "classification/Own", "test"}, table, options);
  CHECK(table.size() >= 64);
  CHECK(table.size() <= 65);
}

TEST_CASE("a classification on a sample trains fewer rounds, one at least") {
  TaskOptions options;
  const auto rounds = [&](Index most_items, Index labels) {
    options.most_items = most_items;
    return io::detail::rounds_on_sample(labels, options);
  };
  CHECK(rounds(100, 2) == 10);  // as many as without a sample
  CHECK(rounds(40, 6) == 8);    // 400 texts, 48 a round
  CHECK(rounds(100, 150) == 1);
  test::TemporaryFolder folder;
  std::string train = "label\ttext\n";
  for (int i = 0; i < 100; ++i) train += std::to_string(i % 2) + "\ttext " + std::to_string(i) + "\n";
  folder.write("train.tsv", train);
  folder.write("test.tsv", "label\ttext\n0\ttext 1\n");
  const auto embedded_texts = [&](Index most_items) {
    options.most_items = most_items;
    options.classification.samples_per_label = 30;
    TextTable table;
    io::read_task({TaskKind::classification, "Own", folder / "", "test"}, table, options);
    return table.size();
  };
  CHECK(embedded_texts(0) > 90);
  CHECK(embedded_texts(3) <= 61);
}

TEST_CASE("names of kinds lead back to their kinds") {
  for (const TaskKind kind : every_task_kind) CHECK(task_kind_of(name_of(kind)) == kind);
  CHECK(!task_kind_of("mining").has_value());
}
