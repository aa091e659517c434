#include <chrono>
#include <cmath>

#include "program/small_training.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

/// Triples whose teacher turns by `turn` from one to the next.
std::string taught(const Folder& folder, const std::string& name, int turn, int examples = 12) {
  std::string lines;
  for (int i = 0; i < examples; ++i) {
    const std::string letter(1 + static_cast<std::size_t>(i / 12), static_cast<char>('a' + i % 12));
    const auto direction = [](int place) { return nlohmann::json{std::cos(place), std::sin(place)}; };
    lines += nlohmann::json{{"query", "word " + letter}, {"positive", "letter " + letter}, {"negative", "number " + letter},
                            {"task", i % 2 ? "taught" : "told"},
                            {"teacher", {direction(i * turn), direction(i * turn + 1), direction(-i)}}}.dump() + "\n";
  }
  return folder.write(name, lines);
}

}  // namespace

TEST_CASE("a teacher's similarities are learned, and another teacher is another training") {
  const Fixture fixture;
  const std::string one = taught(fixture.folder, "one.jsonl", 1), two = taught(fixture.folder, "two.jsonl", 2);
  const std::vector<std::string> flags = {"--steps", "20", "--held-out", one, "--held-out-every", "20", "--data"};
  const auto train = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(), flags.begin(), flags.end());
    return fixture.train_head(name, more);
  };
  const Outcome outcome = train("one", {one});
  CAPTURE(outcome.error);
  REQUIRE(outcome.status == 0);
  std::vector<double> held_out;
  for (const auto& line : lines_of(fixture.bytes("one", "log.jsonl")))
    if (line.contains("held_out_loss")) held_out.push_back(line.at("held_out_loss"));
  REQUIRE(held_out.size() == 2);
  CHECK(held_out.back() < held_out.front());
  REQUIRE(train("two", {two}).status == 0);
  CHECK(fixture.bytes("one", "head.safetensors") != fixture.bytes("two", "head.safetensors"));
  const Outcome resumed = train("one", {two, "--resume"});
  CHECK(resumed.status == 2);
  CHECK(resumed.error.find("another training") != std::string::npos);
  CHECK(train("mixed", {one, "--mixed-batches"}).error.find("a teacher's embeddings") != std::string::npos);
}

TEST_CASE("from a teacher LoRA learns from the model as it was, too, and by a recipe of its own") {
  const Fixture fixture;
  const std::string data = taught(fixture.folder, "taught.jsonl", 1, 60);
  const auto adapter = [&](const std::string& name, std::vector<std::string> flags) {
    if (std::find(flags.begin(), flags.end(), "--head-steps") == flags.end()) flags.insert(flags.end(), {"--head-steps", "2"});
    flags.insert(flags.begin(), {"train", "--model", fixture.model, "--data", data, "--output", fixture.out(name), "--quiet",
                                 "--lora-rank", "2", "--steps", "3"});
    const Outcome outcome = run(flags);
    CAPTURE(outcome.error);
    REQUIRE(outcome.status == 0);
    return fixture.bytes(name, "adapter_model.safetensors");
  };
  const std::string recipe = adapter("recipe", {});
  CHECK(recipe == adapter("named", {"--mixed-batches", "--batch", "48", "--temperature", "0.15", "--lr", "0.0015",
                                    "--self-weight", "0.5"}));
  const std::vector<std::vector<std::string>> others = {
      {"--self-weight", "0"}, {"--self-weight", "2"}, {"--batch", "47"}, {"--lr", "0.001"}, {"--temperature", "0.05"}};
  for (const std::vector<std::string>& flags : others) CHECK(recipe != adapter(flags[0] + flags[1], flags));
  // without a head that was trained first there is nothing to keep
  CHECK(adapter("at once", {"--head-steps", "0"}) == adapter("at once alone", {"--head-steps", "0", "--self-weight", "0"}));
  CHECK(adapter("at once twice", {"--head-steps", "0", "--self-weight", "1"}) != fixture.bytes("at once", "adapter_model.safetensors"));
  CHECK(adapter("apart", {"--one-task-batches", "--batch", "24"}) != adapter("together", {"--batch", "24"}));
  // data without a teacher keep batches of one task
  REQUIRE(fixture.train("pairs", {"--steps", "3"}).status == 0);
  const std::vector<std::string> same = {"--steps", "3", "--one-task-batches", "--temperature", "0.05"};
  REQUIRE(fixture.train("pairs apart", same).status == 0);
  CHECK(fixture.bytes("pairs", "adapter_model.safetensors") == fixture.bytes("pairs apart", "adapter_model.safetensors"));
  const Outcome reweighted =
      run({"train", "--model", fixture.model, "--data", data, "--output", fixture.out("recipe"), "--quiet", "--lora-rank", "2",
           "--steps", "3", "--head-steps", "2", "--self-weight", "2", "--resume"});
  CHECK(reweighted.status == 2);
  CHECK(reweighted.error.find("another training") != std::string::npos);
}

TEST_CASE("with two teachers a training has the same bytes for any number of threads, and however often it is stopped") {
  const Fixture fixture;
  const std::string data = taught(fixture.folder, "taught.jsonl", 1, 24);
  const auto arguments = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.begin(), {"--model", fixture.model, "--data", data, "--held-out", data, "--held-out-every", "7",
                               "--batch", "8", "--steps", "200", "--checkpoint-every", "7", "--lora-rank", "2",
                               "--head-steps", "20", "--quiet", "--output", fixture.out(name)});
    return more;
  };
  const auto train = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), "train");
    return run(flags).status;
  };
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(train(arguments("whole", {"--threads", "1"})) == 0);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 5;
  CHECK(fixture.interrupted(seconds, arguments("parts", {"--threads", "3", "--resume"})) > 0);
  REQUIRE(train(arguments("parts", {"--threads", "2", "--resume"})) == 0);
  for (const char* file : {"adapter_model.safetensors", "head.safetensors", "log.jsonl"}) {
    CAPTURE(file);
    CHECK(fixture.bytes("whole", file) == fixture.bytes("parts", file));
  }
}
