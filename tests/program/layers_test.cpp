#include <algorithm>

#include "program/scored_model.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

struct Fixture : ScoredModel {
  Fixture() : ScoredModel({.layers = 3}) {}
  Outcome layers(const std::string& output, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"layers", "--model", model, "--data", data, "--output", (folder / output).string()});
    return run(flags);
  }
};

std::string write_training_data(const Fixture& fixture) {
  std::string lines;
  for (int i = 0; i < 8; ++i) {
    const std::string word(2, static_cast<char>('a' + i));
    lines += "{\"query\": \"a " + word + "\", \"positive\": \"the " + word + "\"}\n";
  }
  return fixture.folder.write("train.jsonl", lines);
}

}  // namespace

TEST_CASE("layers: every layer has the score that evaluate gives it, and the report is in four files") {
  const Fixture fixture;
  const Outcome outcome = fixture.layers("out");
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  CHECK(fixture.folder.path() / "out/layers.html\n" == outcome.output);
  const auto report = fixture.json("out/layers.json");
  CHECK(report.at("layers") == 3);
  const auto& pairs = report.at("tasks").at(1).at("task") == "Pairs" ? report.at("tasks").at(1) : report.at("tasks").at(0);
  CHECK(pairs.at("calibrated").size() == 4);
  for (int layer = 0; layer <= 3; ++layer) {
    const std::string folder = "scores" + std::to_string(layer);
    REQUIRE(run({"evaluate", "--model", fixture.model, "--data", fixture.data, "--tasks", "sts", "--layer", std::to_string(layer),
                 "--output", (fixture.folder / folder).string()}).status == 0);
    // Evaluated vectors are divided by their lengths first: cosines may differ in their last bit, ranks do not.
    CHECK(pairs.at("raw").at(static_cast<std::size_t>(layer)).get<double>() ==
          doctest::Approx(fixture.json(folder + "/sts/Pairs.json").at("main_score").get<double>()).epsilon(1e-9));
  }
  const auto& raw = report.at("similarity").at("raw");
  CHECK(raw.at("linear_cka").at(2).at(2) == 1.0);
  CHECK(raw.at("cosine").at(0).at(3) == raw.at("cosine").at(3).at(0));
  const std::string rows = read_file(fixture.folder / "out/layers.csv");
  CHECK(std::count(rows.begin(), rows.end(), '\n') == 1 + 2 * 4);
  CHECK(read_file(fixture.folder / "out/layers.md").find("How alike the layers are") != std::string::npos);
  const std::string page = read_file(fixture.folder / "out/layers.html");
  CHECK(page.find("<svg") != std::string::npos);
  CHECK(page.find("nan") == std::string::npos);
}

TEST_CASE("layers: data sets of one kind are drawn in one chart, in whatever order they are named") {
  const Fixture fixture;
  fixture.write("sts/Others/test.tsv", fixture.pairs());
  const Outcome outcome = fixture.layers("out", {"--tasks", "Pairs", "Words", "Others"});
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  const std::string page = read_file(fixture.folder / "out/layers.html");
  std::size_t charts = 0;
  for (std::size_t at = 0; (at = page.find("Main score x 100 by layer", at)) != std::string::npos; ++at) ++charts;
  CHECK(charts == 2);  // sts and clustering
}

TEST_CASE("layers: the same text behind all others has one state in layer 0, which is like nothing") {
  const Fixture fixture;
  const Outcome outcome = fixture.layers("out", {"--tasks", "sts", "--pooling", "last", "--append-eos"});
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  const auto report = fixture.json("out/layers.json");
  CHECK(report.at("similarity").at("raw").at("linear_cka").at(0).at(0) == 0.0);
  CHECK(report.at("tasks").at(0).at("raw").at(0) == 0.0);
}

TEST_CASE("layers: instructions of a trained folder stand in front of queries, as in evaluate") {
  const Fixture fixture;
  const std::string data = write_training_data(fixture), trained = (fixture.folder / "trained").string();
  const std::string told = "sts=to say: ";
  const Outcome training = run({"train", "--model", fixture.model, "--data", data, "--output", trained, "--freeze-backbone",
                                "--pooling", "mean", "--layers", "all", "--instruction", told, "--steps", "1", "--batch", "4", "--quiet"});
  CAPTURE(training.error);
  REQUIRE(training.status == 0);
  CHECK(nlohmann::json::parse(read_file(fixture.folder / "trained/embedder.json")).at("head").at("type") == "layer-mix");
  REQUIRE(fixture.layers("out", {"--trained", trained, "--tasks", "sts"}).status == 0);
  REQUIRE(run({"evaluate", "--model", fixture.model, "--data", fixture.data, "--tasks", "sts", "--pooling", "mean", "--instruction", told,
               "--output", (fixture.folder / "scores").string()}).status == 0);
  CHECK(fixture.json("out/layers.json").at("tasks").at(0).at("raw").at(3).get<double>() ==
        doctest::Approx(fixture.json("scores/sts/Pairs.json").at("main_score").get<double>()).epsilon(1e-9));
}

TEST_CASE("layers: a trained head over layers says where it looks") {
  const Fixture fixture;
  const std::string data = write_training_data(fixture), trained = (fixture.folder / "trained").string();
  const Outcome training = run({"train", "--model", fixture.model, "--data", data, "--output", trained, "--design", "3",
                                "--steps", "2", "--warmup", "1", "--batch", "4", "--lora-rank", "2", "--quiet"});
  CAPTURE(training.error);
  REQUIRE(training.status == 0);
  const Outcome outcome = fixture.layers("out", {"--trained", trained});
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  const auto report = fixture.json("out/layers.json");
  for (const auto& task : report.at("tasks")) {
    const auto shares = task.at("attention").get<std::vector<double>>();
    REQUIRE(shares.size() == 4);
    CHECK(shares[0] == 0);  // a trained head reads layers 1 to L
    CHECK(shares[1] + shares[2] + shares[3] == doctest::Approx(1).epsilon(1e-5));  // sums of floats
  }
  CHECK(read_file(fixture.folder / "out/layers.html").find("Where the trained head looks") != std::string::npos);
}

TEST_CASE("layers: flags that make no sense, unknown tasks and bad data are refused by name, and nothing is written") {
  const Fixture fixture;
  const auto refused = [&](const std::vector<std::string>& flags, const std::vector<std::string>& parts) {
    const Outcome outcome = fixture.layers("bad", flags);
    CAPTURE(outcome.error);
    CHECK(outcome.status == 2);
    for (const std::string& part : parts) CHECK(outcome.error.find(part) != std::string::npos);
    CHECK(!std::filesystem::exists(fixture.folder / "bad"));
  };
  refused({"--layer", "1"}, {"--layer"});
  refused({"--tasks", "stss"}, {fixture.data, "stss"});
  refused({"--trained", "nowhere"}, {"nowhere"});
  refused({"--pooling", "last@prompt"}, {"last@prompt", "no state of the texts"});
  refused({"--similarity-texts", "1"}, {"--similarity-texts"});
  fixture.write("sts/Pairs/test.tsv", "score\tsentence1\tsentence2\n1\ta\tb\nmuch\tc\td\n");
  refused({"--tasks", "sts"}, {"Pairs/test.tsv", "line 3", "much"});
}
