#include "program/program.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

struct Fixture {
  Folder folder{};
  std::string model = (folder / "model").string();
  std::string saved = (folder / "saved").string();
  std::string texts{};

  Fixture() {
    write_llama(model, {});
    write_byte_tokenizer(model, false);
    for (int i = 0; i < 30; ++i) texts += std::string(1 + static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26)) + " text\n";
  }
  Outcome calibrate(std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"calibrate", "--model", model, "--input", "-", "--output", saved});
    return run(flags, texts);
  }
  Outcome embed(std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"embed", "--model", model, "--input", "-", "--calibration", saved});
    return run(flags, texts);
  }
};

}  // namespace

TEST_CASE("calibrated embeddings of the calibration's own texts have mean 0 and variance 1 in every dimension") {
  const Fixture fixture;
  REQUIRE(fixture.calibrate({"--pooling", "last", "--layer", "1"}).status == 0);
  const auto rows = embeddings(fixture.embed({"--no-normalize"}).output);
  REQUIRE(rows.size() == 30);
  for (std::size_t j = 0; j < rows.front().size(); ++j) {
    double mean = 0, square = 0;
    for (const auto& row : rows) mean += double(row[j]) / double(rows.size());
    for (const auto& row : rows) square += (double(row[j]) - mean) * (double(row[j]) - mean) / double(rows.size());
    // Centre and scale are stored as float32: 6e-8 relative to states of size 1, over deviations not far below 1.
    CHECK(mean == doctest::Approx(0).epsilon(1e-5));
    CHECK(square == doctest::Approx(1).epsilon(1e-5));
  }
}

TEST_CASE("a calibration records what it was made with, and embed takes it over") {
  const Fixture fixture;
  REQUIRE(fixture.calibrate({"--pooling", "last+mean@text", "--layers", "all", "--mask", "bidirectional", "--template",
                             "<{text}>", "--append-eos"})
              .status == 0);
  const auto json = nlohmann::json::parse(read_file(fixture.folder / "saved/embedder.json"));
  CHECK(json.at("mask") == "bidirectional");
  CHECK(json.at("pooling") == "last,mean@text");
  CHECK(json.at("layers") == "all");
  CHECK(json.at("template") == "<{text}>");
  CHECK(json.at("appended_ids") == nlohmann::json{257});
  CHECK(json.at("calibration").at("texts") == 30);
  const Outcome adopted = fixture.embed();
  REQUIRE(adopted.status == 0);
  const Outcome repeated = fixture.embed({"--pooling", "last+mean@text", "--layers", "1,2", "--mask", "bidirectional",
                                          "--template", "<{text}>", "--append-eos"});
  CHECK(adopted.output == repeated.output);
}

TEST_CASE("a calibration takes the place of another, and never that of something trained") {
  const Fixture fixture;
  REQUIRE(fixture.calibrate().status == 0);
  CHECK(fixture.calibrate({"--pooling", "last"}).status == 0);
  auto config = nlohmann::json::parse(read_file(fixture.folder / "saved/embedder.json"));
  config["adapter"] = true;
  fixture.folder.write("saved/embedder.json", config.dump());
  check_refused(fixture.calibrate(), {"embedder.json", "trained embedder"});
  CHECK(nlohmann::json::parse(read_file(fixture.folder / "saved/embedder.json")) == config);
}

TEST_CASE("a flag that contradicts a calibration is refused by name") {
  const Fixture fixture;
  REQUIRE(fixture.calibrate({"--prompt", "p ", "--append-eos"}).status == 0);
  const auto refused = [&](const std::vector<std::string>& flags, const std::vector<std::string>& parts) {
    const Outcome outcome = fixture.embed(flags);
    CAPTURE(outcome.error);
    CHECK(outcome.status == 2);
    CHECK(outcome.output == "");
    for (const std::string& part : parts) CHECK(outcome.error.find(part) != std::string::npos);
  };
  refused({"--mask", "bidirectional"}, {fixture.saved, "mask", "causal", "--mask", "bidirectional"});
  refused({"--pooling", "last"}, {"pooling", "mean", "--pooling"});
  refused({"--skip-first", "1"}, {"pooling", "--skip-first"});
  refused({"--layer", "0"}, {"layers", "last", "--layer"});
  refused({"--prompt", "q "}, {"template", "p {text}", "--prompt"});
  refused({"--no-append-eos"}, {"appended_ids", "257", "--no-append-eos"});
  CHECK(fixture.embed({"--dimensions", "4", "--no-normalize"}).status == 0);  // last steps are free
}

TEST_CASE("a calibration of another model, or a damaged one, is refused") {
  const Fixture fixture;
  REQUIRE(fixture.calibrate().status == 0);
  const std::string config = read_file(fixture.folder / "saved/embedder.json");
  const auto refused = [&](const std::string& part) {
    const Outcome outcome = fixture.embed();
    CAPTURE(outcome.error);
    CHECK(outcome.status == 2);
    CHECK(outcome.error.find(part) != std::string::npos);
  };
  auto json = nlohmann::json::parse(config);
  json["model"]["width"] = 17;
  fixture.folder.write("saved/embedder.json", json.dump());
  refused("shape");  // already the tensors are not of that width
  json = nlohmann::json::parse(config);
  json["model"]["vocabulary"] = 481;
  fixture.folder.write("saved/embedder.json", json.dump());
  refused("another model");
  json = nlohmann::json::parse(config);
  json["surprise"] = 1;
  fixture.folder.write("saved/embedder.json", json.dump());
  refused("surprise");
  json = nlohmann::json::parse(config);
  json["calibration"]["file"] = "../calibration.safetensors";
  fixture.folder.write("saved/embedder.json", json.dump());
  refused("same folder");
  fixture.folder.write("saved/embedder.json", config);
  const std::string tensors = read_file(fixture.folder / "saved/calibration.safetensors");
  fixture.folder.write("saved/calibration.safetensors", tensors.substr(0, tensors.size() - 4));
  refused("calibration.safetensors");
}

TEST_CASE("the estimate does not depend on batches or threads, and one text is too few") {
  const Fixture fixture;
  REQUIRE(fixture.calibrate().status == 0);
  const std::string first = read_file(fixture.folder / "saved/calibration.safetensors");
  REQUIRE(fixture.calibrate({"--batch-tokens", "10", "--threads", "3"}).status == 0);
  CHECK(read_file(fixture.folder / "saved/calibration.safetensors") == first);
  const Outcome outcome = run({"calibrate", "--model", fixture.model, "--input", "-", "--output", fixture.saved}, "one\n");
  CHECK(outcome.status == 2);
  CHECK(outcome.error.find("2 texts") != std::string::npos);
}

TEST_CASE("inspect describes a model and a saved folder") {
  const Fixture fixture;
  REQUIRE(fixture.calibrate({"--template", "<{text}>"}).status == 0);
  const Outcome text = run({"inspect", "--model", fixture.model, "--calibration", fixture.saved});
  CHECK(text.status == 0);
  for (const std::string part : {"llama", "2 layers", "F32 20", "</s> (257)", "<{text}>", "30 texts"}) {
    CAPTURE(text.output);
    CAPTURE(part);
    CHECK(text.output.find(part) != std::string::npos);
  }
  const Outcome output = run({"inspect", "--model", fixture.model, "--calibration", fixture.saved, "--json"});
  const auto json = nlohmann::json::parse(output.output);
  CHECK(json.at("architecture").at("layers") == 2);
  CHECK(json.at("tensors").at("formats").at("F32") == 20);
  CHECK(json.at("settings").at("mask") == "causal");
  CHECK(json.at("folders").at(fixture.saved).at("calibration").at("texts") == 30);
}

TEST_CASE("sts scores every pooling at every layer from one file of pairs, and nearest finds a text itself") {
  const Fixture fixture;
  const std::string pairs = fixture.folder.write(
      "pairs.tsv", "score\tsentence1\tsentence2\tsubset\n5\tabc\tabc\tx\n3\tabc\tabd\tx\n0\tabc\txyz uvw\tx\n");
  const std::string texts = fixture.folder.write("texts.txt", fixture.texts);
  const Outcome table = run({"sts", "--model", fixture.model, "--pairs", pairs, "--pooling", "last", "mean", "--layers",
                             "last", "all", "--calibration-texts", texts});
  CHECK(table.status == 0);
  CHECK(std::count(table.output.begin(), table.output.end(), '\n') == 5);
  CHECK(table.output.find("calibrated") != std::string::npos);
  const Outcome bad = run({"sts", "--model", fixture.model, "--pairs",
                           fixture.folder.write("bad.tsv", "score\tsentence1\tsentence2\n5\ta\tb\nx\ta\tb\n")});
  CHECK(bad.status == 2);
  CHECK(bad.error.find("bad.tsv: line 3") != std::string::npos);
  const std::string query = fixture.folder.write("query.txt", "b text\n");
  const Outcome found =
      run({"nearest", "--model", fixture.model, "--corpus", fixture.folder.write("corpus.txt", "zzz\nb text\nqqq\n"),
           "--queries", query, "--top", "1"});
  CHECK(found.status == 0);
  CHECK(found.output == "b text\n   1.00  b text\n");
  check_refused(run({"sts", "--model", fixture.model, "--pairs", pairs, "--max-tokens", "1", "--strict"}),
                {"is longer than 1 tokens"});
  const Outcome cut = run({"sts", "--model", fixture.model, "--pairs", pairs, "--max-tokens", "1"});
  CHECK(cut.error.find("were longer than 1 tokens and were cut") != std::string::npos);
}
