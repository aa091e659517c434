#include <algorithm>
#include <cmath>
#include <map>

#include "embedpool/eval/task_kind.hpp"
#include "program/scored_model.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

struct Fixture : ScoredModel {
  Fixture() { write_retrieval(); }
  Outcome evaluate(const std::string& output, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"evaluate", "--model", model, "--data", data, "--output", (folder / output).string()});
    return run(flags);
  }
};

}  // namespace

TEST_CASE("every data set of a folder is scored, and a query finds the document with its own words") {
  const Fixture fixture;
  const Outcome outcome = fixture.evaluate("scores");
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  const auto found = fixture.json("scores/retrieval/Find.json");
  CHECK(found.at("main_metric") == "ndcg_at_10");
  CHECK(found.at("main_score") == 1.0);
  const auto pairs = fixture.json("scores/sts/Pairs.json");
  CHECK(pairs.at("item_scores").size() == 12);
  CHECK(pairs.at("metrics").contains("manhattan_spearman"));
  CHECK(std::filesystem::exists(fixture.folder / "scores/clustering/Words.json"));
  const std::string table = read_file(fixture.folder / "scores/results.md");
  CHECK(table.find("| retrieval | Find | ndcg_at_10 | 100.00 |") != std::string::npos);
  CHECK(table.find("| **all** | mean of 3 |") != std::string::npos);
}

TEST_CASE("tasks that are there are not done again, and never mixed with other settings, models or data") {
  const Fixture fixture;
  REQUIRE(fixture.evaluate("scores", {"--tasks", "sts"}).status == 0);
  CHECK(!std::filesystem::exists(fixture.folder / "scores/retrieval"));
  auto marked = fixture.json("scores/sts/Pairs.json");
  marked["main_score"] = 0.12345;  // would be another number if it were scored again
  fixture.folder.write("scores/sts/Pairs.json", marked.dump());
  REQUIRE(fixture.evaluate("scores").status == 0);
  CHECK(fixture.json("scores/sts/Pairs.json").at("main_score") == 0.12345);
  check_refused(fixture.evaluate("scores", {"--pooling", "last", "--quiet"}), {"Pairs.json", "other settings"});

  const std::string pairs = read_file(std::filesystem::path(fixture.data) / "sts/Pairs/test.tsv");
  fixture.write("sts/Pairs/test.tsv", pairs + "5\tone\tone\n");
  check_refused(fixture.evaluate("scores", {"--quiet"}), {"Pairs.json", "other data"});
  fixture.write("sts/Pairs/test.tsv", pairs);
  write_llama(fixture.model, {}, 99);
  check_refused(fixture.evaluate("scores", {"--quiet"}), {"other settings"});
  fixture.folder.write("scores/sts/Pairs.json", "[]");
  check_refused(fixture.evaluate("scores", {"--quiet", "--tasks", "sts"}), {"Pairs.json", "no result"});
}

TEST_CASE("results in the folder of a data set are no data of it, and judgements in a linked folder are") {
  const Fixture fixture;
  const auto set = fixture.folder / "data/retrieval/Find", judged = fixture.folder / "judged";
  const auto evaluate = [&] {
    return run({"evaluate", "--model", fixture.model, "--data", (set / ".").string(), "--output", (set / "scores").string(), "--quiet"});
  };
  std::filesystem::rename(set / "qrels", judged);
  std::filesystem::create_directory_symlink(judged, set / "qrels");
  REQUIRE(evaluate().status == 0);
  CHECK(std::filesystem::exists(set / "scores/retrieval/Find.json"));
  const Outcome again = evaluate();
  CAPTURE(again.error);
  CHECK(again.status == 0);
  fixture.folder.write("judged/test.tsv", "query-id\tcorpus-id\tscore\nq1\td2\t1\n");
  check_refused(evaluate(), {"Find.json", "other data"});
}

TEST_CASE("a data set that is named twice is one") {
  const Fixture fixture;
  REQUIRE(fixture.evaluate("scores", {"--tasks", "sts", "Pairs", "sts"}).status == 0);
  CHECK(read_file(fixture.folder / "scores/results.md").find("| mean of 1 |") != std::string::npos);
}

TEST_CASE("sts scores a file of pairs as evaluate does: equal sentences tie, and where all do the score is 0") {
  const Fixture fixture;
  const std::string header = "score\tsentence1\tsentence2\n";
  std::string some = Fixture::pairs(), all = header;
  for (int i = 0; i < 12; ++i) {
    const std::string word = Fixture::word(i) + " " + std::to_string(i), pair = word + "\t" + word + "\n";
    some += std::to_string(i % 5) + "\t" + pair;
    all += std::to_string(i) + "\t" + pair;
  }
  const auto printed = [&](const std::string& pairs) {
    const std::string file = fixture.write("sts/Ties/test.tsv", pairs);
    const Outcome outcome = run({"sts", "--model", fixture.model, "--pairs", file, "--quiet"});
    REQUIRE(outcome.status == 0);
    return std::stod(outcome.output.substr(outcome.output.find_last_of(' ')));
  };
  const double score = printed(some);
  REQUIRE(fixture.evaluate("scores", {"--tasks", "Ties"}).status == 0);
  const double evaluated = 100 * fixture.json("scores/sts/Ties.json").at("main_score").get<double>();
  CHECK(std::abs(score - evaluated) < 0.051);  // one decimal is printed
  CHECK(printed(all) == 0);
}

TEST_CASE("unknown tasks and bad data are refused by name") {
  const Fixture fixture;
  const auto refused = [&](std::vector<std::string> flags, const std::vector<std::string>& parts) {
    flags.push_back("--quiet");
    const Outcome outcome = fixture.evaluate("bad", flags);
    CAPTURE(outcome.error);
    CHECK(outcome.status == 2);
    CHECK(std::count(outcome.error.begin(), outcome.error.end(), '\n') == 1);
    CHECK(outcome.error.starts_with("embedpool: error: "));
    for (const std::string& part : parts) CHECK(outcome.error.find(part) != std::string::npos);
  };
  refused({"--tasks", "stss"}, {fixture.data, "stss"});
  fixture.write("sts/Pairs/test.tsv", "score\tsentence1\tsentence2\n1\ta\tb\nmuch\tc\td\n");
  refused({}, {"Pairs/test.tsv", "line 3", "much"});
  fixture.write("sts/Pairs/test.tsv", "score\tsentence1\tsentence2\n1\ta\tb\n2\tc\td\n");
  fixture.write("retrieval/Find/qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td9\t1\n");
  refused({"--tasks", "Find"}, {"test.tsv", "line 2", "d9"});
  // What cannot be written is said before anything is embedded, or even read.
  const std::string file = fixture.folder.write("file", "");
  for (const std::string command : {"evaluate", "layers"})
    for (const std::string& output : {file, file + "/scores"})
      check_refused(run({command, "--model", fixture.model, "--data", fixture.data, "--tasks", "Find", "--output", output, "--quiet"}),
                    {file + ": is no folder"});
}

TEST_CASE("an instruction stands in front of the queries of its kind or data set, and of no document") {
  const Fixture fixture;
  const std::string told = "to say: ";
  // A document that is the query with its instruction, and one that is the query without.
  fixture.write("retrieval/Find/corpus.jsonl",
                "{\"_id\": \"d1\", \"text\": \"" + told + "a bb\"}\n{\"_id\": \"d2\", \"text\": \"a bb\"}\n");
  REQUIRE(fixture.evaluate("told", {"--instruction", "sts=" + told, "--instruction", "Find=" + told}).status == 0);
  REQUIRE(fixture.evaluate("every", {"--prompt", told}).status == 0);
  REQUIRE(fixture.evaluate("plain").status == 0);
  const auto metrics = [&](const std::string& run, const std::string& set) {
    return fixture.json(run + "/" + set + ".json").at("metrics");
  };
  CHECK(metrics("told", "sts/Pairs") == metrics("every", "sts/Pairs"));
  CHECK(metrics("told", "sts/Pairs") != metrics("plain", "sts/Pairs"));
  CHECK(metrics("told", "clustering/Words") == metrics("plain", "clustering/Words"));
  CHECK(metrics("told", "retrieval/Find").at("ndcg_at_10") == 1);
  CHECK(metrics("every", "retrieval/Find").at("ndcg_at_10") < 1);
  CHECK(metrics("plain", "retrieval/Find").at("ndcg_at_10") < 1);
  CHECK(fixture.json("told/retrieval/Find.json").at("embedder").at("settings").at("prompts").at("Find") == told);
  check_refused(fixture.evaluate("bad", {"--instruction", "stss=" + told}), {"--instruction stss"});
  check_refused(fixture.evaluate("bad", {"--instruction", "sts=" + told, "--instruction", "sts="}), {"'sts' has one already"});
}

TEST_CASE("texts that are cut are counted, or refused by name") {
  const Fixture fixture;
  const Outcome counted = fixture.evaluate("cut", {"--tasks", "Find", "--max-tokens", "4"});
  REQUIRE(counted.status == 0);
  CHECK(counted.error.find("embedpool: 1 of 2 texts were longer than 4 tokens and were cut") != std::string::npos);
  CHECK(fixture.evaluate("whole", {"--tasks", "Find"}).error.find("were cut") == std::string::npos);
  check_refused(fixture.evaluate("bad", {"--tasks", "Find", "--max-tokens", "4", "--strict"}), {"Find", "is longer than 4 tokens"});
}

TEST_CASE("names of data sets stand in the table as they are") {
  const Fixture fixture;
  fixture.write("sts/a|b/test.tsv", Fixture::pairs());
  REQUIRE(fixture.evaluate("scores", {"--tasks", "a|b"}).status == 0);
  CHECK(read_file(fixture.folder / "scores/results.md").find("| sts | a\\|b | cosine_spearman |") != std::string::npos);
}

TEST_CASE("the bundled data has a set of every kind, which gets a finite score and as many items as it has") {
  const char* data = std::getenv("EMBEDPOOL_BUNDLED_DATA");
  REQUIRE_MESSAGE(data != nullptr, "EMBEDPOOL_BUNDLED_DATA must name examples/data/evaluation");
  const Fixture fixture;
  const Outcome outcome =
      run({"evaluate", "--model", fixture.model, "--data", data, "--output", (fixture.folder / "scores").string(), "--quiet"});
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  const std::map<std::string, std::size_t> items = {{"sts", 249}, {"classification", 200}, {"clustering", 1},
                                                    {"pairclassification", 108}, {"reranking", 36}, {"retrieval", 111},
                                                    {"summarization", 8}, {"bitext", 60}};
  for (const TaskKind kind : every_task_kind) {
    const std::string name(name_of(kind));
    CAPTURE(name);
    REQUIRE(std::filesystem::is_directory(fixture.folder / ("scores/" + name)));
    for (const auto& file : std::filesystem::directory_iterator(fixture.folder / ("scores/" + name))) {
      const auto result = nlohmann::json::parse(read_file(file.path()));  // a number that is not finite would be null
      for (const auto& metric : result.at("metrics").items()) {
        CAPTURE(metric.key());
        CHECK((metric.value().is_number() && std::isfinite(metric.value().get<double>())));
      }
      for (const auto& score : result.at("item_scores")) CHECK(score.is_number());
      CHECK(result.at("item_scores").size() == items.at(name));
    }
  }
}
