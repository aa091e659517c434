#include <algorithm>
#include <chrono>
#include <cmath>

#include "embedpool/eval/comparison/spread.hpp"
#include "program/scored_model.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

using CsvRows = std::vector<std::vector<std::string>>;

/// The lines of a CSV file without quoted fields.
CsvRows csv(const std::filesystem::path& file) {
  CsvRows rows;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line, '\r'); lines.get()) {
    rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) rows.back().push_back(field);
  }
  return rows;
}

/// With pairs to train on.
struct Fixture : ScoredModel {
  Fixture() {
    write_retrieval();
    write("sts/More/test.tsv", pairs() + "4\tone\ttwo\n");
    std::string training;
    for (int i = 0; i < 64; ++i)
      training += nlohmann::json{{"query", "what is " + word(i)}, {"positive", word(i) + " it is"}}.dump() + "\n";
    write("train/pairs.jsonl", training);
  }
  std::vector<std::string> arguments(const std::string& output, std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"compare", "--model", model, "--data", data, "--output", (folder / output).string(), "--quiet"});
    return flags;
  }
  Outcome compare(const std::string& output, const std::vector<std::string>& flags) const { return run(arguments(output, flags)); }
  Outcome configured(const std::string& output, const std::string& json, std::vector<std::string> flags = {}) const {
    if (flags.empty()) flags = {"--steps", "3"};
    flags.insert(flags.begin(), {"--config", folder.write("systems.json", json), "--seeds", "1"});
    return compare(output, flags);
  }
};

const std::vector<std::string> files = {"scores.csv", "pairs.csv", "report.md", "report.html"};
const std::vector<std::string> small = {"--designs", "1,3", "--seeds", "2", "--steps", "2"};

std::vector<std::string> with(std::vector<std::string> flags, const std::vector<std::string>& more) {
  flags.insert(flags.end(), more.begin(), more.end());
  return flags;
}

/// Two heads on the model as it is, which take no time to train.
const std::string two_heads = R"({"systems": [{"name": "mix, all", "flags": ["--layers", "all"]}, {"name": "mix, last", "flags": ["--layers", "last"]}],
 "flags": ["--freeze-backbone", "--batch", "8", "--head", "layer-mix"]})";

}  // namespace

TEST_CASE("two designs with two seeds: the report, its tables and the scores of what was trained agree; nothing is done twice") {
  const Fixture fixture;
  const Outcome outcome = fixture.compare("out", small);
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  CHECK(outcome.output == (fixture.folder / "out/report.html").string() + "\n");

  const CsvRows scores = csv(fixture.folder / "out/scores.csv");
  REQUIRE(scores.size() == 1 + 2 * 2 * 4);
  CHECK(scores[0] == std::vector<std::string>{"system", "seed", "kind", "data_set", "metric", "score"});
  double means[2] = {}, by_seed[2][2] = {};
  for (std::size_t i = 1; i < scores.size(); ++i) {
    const auto& row = scores[i];
    const std::string folder = row[0] == "design 1" ? "design-1" : "design-3";
    const auto kept = fixture.json("out/" + folder + "/seed" + row[1] + "/scores/" + row[2] + "/" + row[3] + ".json");
    CHECK(kept.at("main_metric") == row[4]);
    CHECK(std::stod(row[5]) == doctest::Approx(kept.at("main_score").get<double>()).epsilon(1e-9));  // ten digits
    means[row[0] == "design 3"] += std::stod(row[5]) / 8;
    if (row[2] == "sts") by_seed[row[0] == "design 3"][row[1] == "1"] += std::stod(row[5]) / 2;
  }

  // As `embedpool evaluate` scores the trained folder.
  const Outcome evaluated = run({"evaluate", "--model", fixture.model, "--trained", (fixture.folder / "out/design-3/seed1/trained").string(),
                                 "--data", fixture.data, "--output", (fixture.folder / "evaluated").string()});
  CAPTURE(evaluated.error);
  REQUIRE(evaluated.status == 0);
  for (const std::string task : {"sts/Pairs", "sts/More", "clustering/Words", "retrieval/Find"}) {
    const auto kept = fixture.json("out/design-3/seed1/scores/" + task + ".json"), again = fixture.json("evaluated/" + task + ".json");
    CHECK(kept.at("main_score") == again.at("main_score"));
    CHECK(kept.at("item_scores") == again.at("item_scores"));
  }

  // Over all data sets, three kinds and four data sets: one pair each.
  const CsvRows pairs = csv(fixture.folder / "out/pairs.csv");
  REQUIRE(pairs.size() == 1 + 1 + 3 + 4);
  REQUIRE(pairs[0].size() == 17);
  CHECK((pairs[1][0] == "all" && pairs[1][2] == "design 1" && pairs[1][3] == "design 3" && pairs[1][4 - 3] == "data sets"));
  CHECK(std::stod(pairs[1][4]) == doctest::Approx(means[0]).epsilon(1e-9));
  CHECK(std::stod(pairs[1][5]) == doctest::Approx(means[1]).epsilon(1e-9));
  CHECK(pairs[1].back() == "impossible");  // four data sets: p cannot be under 2 / 2^4

  const std::string markdown = read_file(fixture.folder / "out/report.md"), html = read_file(fixture.folder / "out/report.html");
  for (const int design : {0, 1}) {
    const Spread spread = spread_of(std::vector<double>{by_seed[design][0], by_seed[design][1]});
    char text[64];
    std::snprintf(text, sizeof text, spread.low == spread.high ? "%.1f" : "%.1f ± %.1f", 100 * spread.mean, 100 * spread.deviation);
    CAPTURE(text);
    CHECK(markdown.find(text) != std::string::npos);
    CHECK(html.find(text) != std::string::npos);
  }
  for (const std::string& report : {markdown, html})
    for (const char* part : {"sts", "design 3", "can be significant", "Spearman", "--designs 1", "model digest"}) {
      CAPTURE(part);
      CHECK(report.find(part) != std::string::npos);
    }
  for (const char* part : {"nan", "inf<", "src=", "href=\"http"}) CHECK(html.find(part) == std::string::npos);

  std::vector<std::string> before;
  for (const std::string& file : files) before.push_back(read_file(fixture.folder / ("out/" + file)));
  const auto trained = [&] { return std::filesystem::last_write_time(fixture.folder / "out/design-3/seed1/trained/embedder.json"); };
  const auto when = trained();
  REQUIRE(fixture.compare("out", small).status == 0);
  for (std::size_t i = 0; i < files.size(); ++i) {
    CAPTURE(files[i]);
    CHECK(read_file(fixture.folder / ("out/" + files[i])) == before[i]);
  }
  CHECK(trained() == when);

  // A run that was killed between a training's end and its cost.
  const auto cost = fixture.folder / "out/design-3/seed1/cost.json";
  const std::string known = read_file(cost);
  std::filesystem::remove(cost);
  REQUIRE(fixture.compare("out", small).status == 0);
  const auto parameters = [](const std::string& report) {  // the last cell of design 3 in the table of costs
    const std::size_t row = report.find("| design 3", report.find("trained parameters |"));
    const std::string line = report.substr(row, report.find('\n', row) - row);
    return line.substr(line.find_last_of('|', line.size() - 2));
  };
  CHECK(parameters(before[2]) != "| 0 |");
  CHECK(parameters(read_file(fixture.folder / "out/report.md")) == parameters(before[2]));
  fixture.folder.write("out/design-3/seed1/cost.json", known);

  // What does not fit to what is there is refused by its name, and nothing of it is touched.
  const auto refused = [&](const std::vector<std::string>& flags, const std::vector<std::string>& parts) {
    const Outcome other = fixture.compare("out", flags);
    CAPTURE(other.error);
    CHECK(other.status == 2);
    CHECK(std::count(other.error.begin(), other.error.end(), '\n') == 1);
    for (const std::string& part : with({"name another output folder"}, parts)) CHECK(other.error.find(part) != std::string::npos);
  };
  refused({"--designs", "1,3", "--seeds", "2", "--steps", "3"}, {"plan.json", "steps", "2", "3"});
  refused(with(small, {"--max-items", "8"}), {"plan.json", "max_items"});
  refused(with(small, {"--compute", "int8"}), {"plan.json", "compute"});
  const std::string kept = read_file(fixture.folder / "data/sts/Pairs/test.tsv"), training = read_file(fixture.folder / "data/train/pairs.jsonl");
  fixture.write("sts/Pairs/test.tsv", kept + "1\tp\tq\n");
  refused(small, {"plan.json", "data_sets", "sts/Pairs"});
  fixture.write("sts/Pairs/test.tsv", kept);
  fixture.write("train/pairs.jsonl", training + "{\"query\": \"q\", \"positive\": \"p\"}\n");
  refused(small, {"plan.json", "training_data", "pairs.jsonl"});
  fixture.write("train/pairs.jsonl", training);
  CHECK(trained() == when);
  CHECK(read_file(fixture.folder / "out/scores.csv") == before[0]);
}

TEST_CASE("a comparison that is stopped and killed on its way has the scores of one that was not") {
  const Fixture fixture;
  const std::vector<std::string> flags = {"--designs", "3,5", "--seeds", "2", "--steps", "12"};
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(fixture.compare("whole", flags).status == 0);
  // A quarter of the time that all of it takes here and now: the first run is stopped on its way on any machine.
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 4;
  int stops = 0;
  for (const std::string signal : {"KILL", "TERM", "KILL", "INT"}) {
    std::string command = "timeout -s " + signal + " " + std::to_string(seconds) + " " + quoted(std::getenv("EMBEDPOOL_PROGRAM"));
    for (const std::string& argument : fixture.arguments("parts", flags)) command += " " + quoted(argument);
    stops += std::system((command + " >/dev/null 2>&1").c_str()) != 0;
  }
  CHECK(stops > 0);
  const Outcome last = fixture.compare("parts", flags);
  CAPTURE(last.error);
  REQUIRE(last.status == 0);
  for (const std::string file : {"scores.csv", "pairs.csv"}) {
    CAPTURE(file);
    CHECK(read_file(fixture.folder / ("whole/" + file)) == read_file(fixture.folder / ("parts/" + file)));
  }
  CHECK(!std::filesystem::exists(fixture.folder / "parts/keys"));
}

TEST_CASE("systems of a configuration, trained and untrained, and one that is added later") {
  const Fixture fixture;
  const std::string untrained = R"({"name": "mean & <last>", "flags": ["--pooling", "mean"], "untrained": true})";
  const std::string mixed = R"({"name": "mix", "flags": ["--freeze-backbone", "--batch", "8"]})";
  const auto systems = [](const std::string& list) { return "{\"systems\": [" + list + "]}"; };
  const Outcome outcome = fixture.configured("out", systems(untrained + ", " + mixed));
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  CHECK(!std::filesystem::exists(fixture.folder / "out/mean-last/seed0/trained"));
  CHECK(std::filesystem::exists(fixture.folder / "out/mix/seed0/trained/embedder.json"));
  const std::string html = read_file(fixture.folder / "out/report.html");
  CHECK(html.find("mean &amp; &lt;last&gt;") != std::string::npos);
  CHECK(html.find("<last>") == std::string::npos);
  REQUIRE(run({"evaluate", "--model", fixture.model, "--pooling", "mean", "--data", fixture.data, "--output",
               (fixture.folder / "evaluated").string()}).status == 0);
  CHECK(fixture.json("evaluated/sts/Pairs.json").at("main_score") ==
        fixture.json("out/mean-last/seed0/scores/sts/Pairs.json").at("main_score"));
  const std::string last = R"(, {"name": "last", "flags": ["--pooling", "last"], "untrained": true})";
  const Outcome more = fixture.configured("out", systems(untrained + ", " + mixed + last));
  CAPTURE(more.error);
  CHECK(more.status == 0);
  CHECK(csv(fixture.folder / "out/scores.csv").size() == 1 + 3 * 4);
  // The flags of a system that is there do not change.
  const Outcome other = fixture.configured("out", systems(R"({"name": "mix", "flags": ["--freeze-backbone", "--batch", "4"]})"), {"--steps", "3"});
  CAPTURE(other.error);
  CHECK(other.status == 2);
  for (const char* part : {"mix/system.json", "flags", "name another output folder"}) CHECK(other.error.find(part) != std::string::npos);
  // What is not trained needs no data for it.
  std::filesystem::remove_all(fixture.folder / "data/train");
  const Outcome without = fixture.configured("untrained", systems(untrained + last));
  CAPTURE(without.error);
  CHECK(without.status == 0);
}

TEST_CASE("what is trained already is not compared with what is trained on other data, whatever its file is called") {
  const Fixture fixture;
  const std::vector<std::string> flags = {"--steps", "1", "--tasks", "Pairs"};
  const std::string head = R"({"name": "head", "flags": ["--freeze-backbone", "--batch", "8"]})";
  const auto systems = [](const std::string& list) { return "{\"systems\": [" + list + "]}"; };
  const auto started = [&](const std::string& start) {
    return R"({"name": "more", "flags": ["--freeze-backbone", "--batch", "8", "--start-from", ")" + start + "\"]}";
  };
  const auto refused = [&](const std::string& json, const std::vector<std::string>& more) {
    const Outcome outcome = fixture.configured("out", json, with(flags, more));
    CAPTURE(outcome.error);
    CHECK(outcome.status == 2);
    for (const char* part : {"system.json", "trained_on", "name another output folder"}) CHECK(outcome.error.find(part) != std::string::npos);
  };
  REQUIRE(fixture.configured("out", systems(head), flags).status == 0);
  std::string other;
  for (int i = 0; i < 64; ++i)
    other += nlohmann::json{{"query", "who is " + Fixture::word(i)}, {"positive", Fixture::word(i) + " she is"}}.dump() + "\n";
  refused(systems(head), {"--train-data", fixture.folder.write("other.jsonl", other)});

  // The same bytes elsewhere are the same data.
  const std::string copy = fixture.folder.write("copy.jsonl", read_file(fixture.folder / "data/train/pairs.jsonl"));
  CHECK(fixture.configured("out", systems(head), with(flags, {"--train-data", copy})).status == 0);

  // A system's own data, however it is given.
  const std::string own = fixture.folder.write("own.jsonl", other);
  for (const std::string& data : {"\"--data\", \"" + own + "\"", "\"--data=" + own + "\""}) {
    CAPTURE(data);
    std::filesystem::remove_all(fixture.folder / "own");
    const Outcome trained = fixture.configured("own", systems(R"({"name": "own", "flags": ["--freeze-backbone", "--batch", "8", )" + data + "]}"), flags);
    CAPTURE(trained.error);
    REQUIRE(trained.status == 0);
    const auto used = fixture.json("own/plan.json").at("training_data");
    CHECK((used.size() == 1 && used.contains(own)));
  }

  // What a training starts from is of its data.
  const auto folder = fixture.folder / "out/head/seed0/trained", start = fixture.folder / "start";
  std::filesystem::copy(folder, start, std::filesystem::copy_options::recursive);
  const Outcome more = fixture.configured("out", systems(head + ", " + started(start.string())), flags);
  CAPTURE(more.error);
  REQUIRE(more.status == 0);
  CHECK(read_file(fixture.folder / "out/report.md").find("| " + start.string()) != std::string::npos);
  std::filesystem::remove_all(start);
  REQUIRE(run({"train", "--model", fixture.model, "--data", copy, "--freeze-backbone", "--batch", "8", "--steps", "2", "--output",
               start.string(), "--quiet"}).status == 0);
  CHECK(fixture.configured("out", systems(head), flags).status == 0);  // the plan of now does not name the start
  refused(systems(head + ", " + started(start.string())), {});
}

TEST_CASE("of equally high scores each is bold, in comparisons and layer by layer") {
  const Fixture fixture;
  const auto system = [](const std::string& name) {
    return "{\"name\": \"" + name + "\", \"flags\": [\"--pooling\", \"mean\"], \"untrained\": true}";
  };
  REQUIRE(fixture.configured("out", "{\"systems\": [" + system("A") + ", " + system("B") + "]}").status == 0);
  const auto bold = [](const std::string& report, const std::string& row) {
    const std::size_t at = report.find("\n" + row);
    REQUIRE(at != std::string::npos);
    const std::string line = report.substr(at + 1, report.find('\n', at + 1) - at - 1);
    int signs = 0;
    for (std::size_t i = 0; (i = line.find("**", i)) != std::string::npos; i += 2) ++signs;
    return signs / 2;
  };
  const std::string report = read_file(fixture.folder / "out/report.md");
  CHECK(bold(report, "| A | **") == 4);  // three kinds, and all
  CHECK(bold(report, "| B | **") == 4);
  CHECK(bold(report, "| Pairs | sts |") == 2);
  REQUIRE(run({"layers", "--model", fixture.model, "--data", fixture.data, "--tasks", "Find", "--output",
               (fixture.folder / "layers").string(), "--quiet"}).status == 0);
  const std::string layers = read_file(fixture.folder / "layers/layers.md");
  const std::string scores = layers.substr(layers.find("## All scores"));
  for (const char* row : {"| 0 |", "| 1 |", "| 2 |"}) CHECK(bold(scores, row) == 2);  // the query is a document in every layer
}

TEST_CASE("names of files may be any bytes: what is written then holds U+FFFD, and a comparison goes on all the same") {
  Fixture fixture;
  const std::string odd = "\xe8", replaced = "\xef\xbf\xbd";
  std::filesystem::rename(fixture.model, fixture.model + odd);
  fixture.model += odd;
  fixture.write("sts/Set" + odd + "/test.tsv", Fixture::pairs());
  const std::string data = fixture.folder.write("pairs" + odd + ".jsonl", read_file(fixture.folder / "data/train/pairs.jsonl"));
  const std::vector<std::string> flags = {"--designs", "1", "--seeds", "1", "--steps", "1", "--tasks", "sts", "--train-data", data};
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = fixture.compare("out", flags);
    CAPTURE(outcome.error);
    REQUIRE(outcome.status == 0);
  }
  CHECK(fixture.json("out/plan.json").at("training_data").contains((fixture.folder / ("pairs" + replaced + ".jsonl")).string()));
  CHECK(read_file(fixture.folder / "out/scores.csv").find("sts,Set" + odd + ",") != std::string::npos);
  fixture.folder.write("pairs" + odd + ".jsonl", read_file(data) + "{\"query\": \"q\", \"positive\": \"p\"}\n");
  CHECK(fixture.compare("out", flags).status == 2);
  for (const std::string command : {"layers", "evaluate"}) {
    const Outcome outcome = run({command, "--model", fixture.model, "--data", fixture.data, "--tasks", "sts", "--output",
                                 (fixture.folder / command).string(), "--quiet"});
    CAPTURE(outcome.error);
    CHECK(outcome.status == 0);
  }
  CHECK(fixture.json("evaluate/sts/Set" + odd + ".json").at("task") == "Set" + replaced);
  CHECK(nlohmann::json::parse(run({"inspect", "--model", fixture.model, "--json"}).output).is_object());
}

TEST_CASE("a budget in minutes is measured once and is the same for every system") {
  const Fixture fixture;
  const std::vector<std::string> flags = {"--minutes", "0.0005"};  // a step or so of the slowest
  const Outcome outcome = fixture.configured("out", two_heads, flags);
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  const auto plan = fixture.json("out/plan.json");
  CHECK(plan.at("steps").get<int>() >= 1);
  const std::string scores = read_file(fixture.folder / "out/scores.csv");
  CHECK(fixture.configured("out", two_heads, flags).status == 0);
  CHECK(fixture.json("out/plan.json") == plan);
  CHECK(read_file(fixture.folder / "out/scores.csv") == scores);
  CHECK(!std::filesystem::exists(fixture.folder / "out/timing"));
}

TEST_CASE("bad configurations, flags and data are one clear error before anything is trained") {
  const Fixture fixture;
  const auto failed = [&](const Outcome& outcome, const std::vector<std::string>& parts) {
    CAPTURE(outcome.error);
    CHECK(outcome.status == 2);
    CHECK(outcome.error.starts_with("embedpool: error: "));
    CHECK(std::count(outcome.error.begin(), outcome.error.end(), '\n') == 1);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(outcome.error.find(part) != std::string::npos);
    }
    CHECK(!std::filesystem::exists(fixture.folder / "bad/report.html"));
  };
  const auto refused = [&](const std::string& json, const std::vector<std::string>& parts) {
    failed(fixture.configured("bad", json), with({"systems.json"}, parts));
    CHECK(!std::filesystem::exists(fixture.folder / "bad"));
  };
  const auto one = [](const std::string& entry) { return "{\"systems\": [{\"name\": \"good\"}, " + entry + "]}"; };
  refused("{\"systems\": [", {});
  refused("[]", {});
  refused("{}", {"systems"});
  refused("{\"systems\": []}", {"systems", "one system or more"});
  refused("{\"systems\": [{\"name\": \"a\"}], \"seeds\": 3}", {"seeds", "not known", "systems, flags"});
  refused("{\"systems\": [{\"name\": \"a\"}], \"flags\": \"--design 1\"}", {"flags", "list of strings"});
  refused(one(R"({"name": "a", "flag": []})"), {"systems[1]", "flag", "name, flags, untrained"});
  refused(one(R"({"flags": []})"), {"systems[1]", "name"});
  refused(one(R"("a")"), {"systems[1]"});
  refused(one(R"({"name": "a", "flags": [1]})"), {"systems[1]", "flags"});
  refused(one(R"({"name": "a", "untrained": "yes"})"), {"systems[1]", "untrained"});
  refused(one(R"({"name": "a", "flags": ["--pool", "mean"]})"), {"systems[1]", "--pool"});
  failed(fixture.configured("bad", one(R"({"name": "a", "flags": ["--pooling", "middle"]})")), {"system 'a'", "middle"});
  refused(one(R"({"name": "a", "flags": ["--help"]})"), {"systems[1]", "--help"});
  refused(one(R"({"name": "a", "flags": ["--design", "1", "--mask", "bidirectional"]})"), {"systems[1]", "design 1", "--mask"});
  refused(one(R"({"name": "good "})"), {"systems[1]", "good", "share a folder"});
  refused(one(R"({"name": "../.."})"), {"systems[1]", "letters or digits"});
  for (const char* own : {"keys", "timing"})
    refused(one("{\"name\": \"" + std::string(own) + "\"}"), {"systems[1]", own, "compare itself"});
  for (const std::string own : {"--seed", "--output", "--resume", "--key-cache", "--steps", "--model", "--threads"})
    refused(one("{\"name\": \"a\", \"flags\": [\"" + own + "\", \"1\"]}"), {"systems[1]", own});
  refused(one(R"({"name": "a", "flags": ["--seed=1"]})"), {"systems[1]", "--seed"});
  for (const std::string own : {"\"--head\", \"layer-mix\"", "\"--design\", \"1\"", "\"--freeze-backbone\"", "\"--data\", \"x\"", "\"--lr\", \"1\""})
    refused(one("{\"name\": \"a\", \"flags\": [" + own + "], \"untrained\": true}"), {"systems[1]", own.substr(1, own.find('"', 1) - 1), "untrained"});
  refused(one(R"({"name": "a", "flags": ["--max-tokens", "4"], "untrained": true})"), {"systems[1]", "--evaluate-max-tokens"});
  refused(one(R"({"name": "a", "flags": ["--pool", "mean"], "untrained": true})"), {"systems[1]", "--pool"});

  failed(fixture.compare("bad", {"--designs", "1,6"}), {"designs", "6"});
  failed(fixture.compare("bad", {"--designs", "1,1", "--steps", "1"}), {"design 1"});
  failed(fixture.compare("bad", {"--designs", "1", "--steps", "1", "--minutes", "1"}), {"--steps", "--minutes"});
  failed(fixture.compare("bad", {"--seeds", "0"}), {"--seeds"});
  failed(fixture.compare("bad", {"--device", "cuda", "--compute", "int8"}), {"--device cuda"});  // on any machine
  failed(fixture.compare("bad", {"--tasks", "Nothing"}), {"Nothing"});
  failed(fixture.compare("bad", {"--train-data", (fixture.folder / "none.jsonl").string()}), {"none.jsonl"});
  fixture.write("retrieval/Find/queries.jsonl", "{\"_id\": \"q1\", \"text\": \"\"}\n{\"_id\": \"q2\", \"text\": \"a\"}\n");
  failed(fixture.compare("bad", {"--designs", "1", "--steps", "1"}), {"Find/queries.jsonl", "'q1'", "is empty"});
  fixture.write("sts/More/test.tsv", "score\tsentence1\tsentence2\n1\ta\tb\nmuch\tc\td\n");
  failed(fixture.compare("bad", {"--designs", "1", "--steps", "1"}), {"More/test.tsv", "line 3", "much"});
  CHECK(!std::filesystem::exists(fixture.folder / "bad"));
}
