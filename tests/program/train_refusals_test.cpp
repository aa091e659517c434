#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "program/small_training.hpp"

using namespace embedpool;
using namespace embedpool::test;

TEST_CASE("what cannot be trained is refused by name before anything is written") {
  const Fixture fixture;
  const auto refused = [&](const std::vector<std::string>& flags, const std::vector<std::string>& parts) {
    check_refused(fixture.train("bad", flags), parts);
    CHECK(!std::filesystem::exists(fixture.folder / "bad/embedder.json"));
  };
  const std::string broken = fixture.folder.write("broken.jsonl", Fixture::pairs() + "{\"query\": \"q\"}\n");
  refused({"--data", broken}, {"broken.jsonl", "line 25", "positive"});
  check_refused(fixture.train_head("bad", {"--device", "cuda", "--compute", "int8"}), {"--device cuda: "});  // on any machine
  CHECK(!std::filesystem::exists(fixture.folder / "bad"));
  refused({"--design", "1", "--mask", "bidirectional"}, {"design 1", "--mask"});
  refused({"--batch", "13"}, {"batch plan"});
  refused({"--max-tokens", "50", "--strict", "--head-steps", "0"}, {"training text", "longer than 50 tokens"});
  refused({"--lr", "nan"}, {"--lr: 'nan' must be a finite number of 0 or more"});
  refused({"--lora-dropout", "nan"}, {"--lora-dropout: 'nan'", "from 0 to 0.99"});
  refused({"--temperature", "0"}, {"--temperature: '0' must be a finite number above 0"});
  refused({"--instruction", "none=x"}, {"no task 'none'"});
  refused({"--no-in-batch-negatives", "none"}, {"no task 'none'"});
  refused({"--no-in-batch-negatives", "even"}, {"--no-in-batch-negatives even", "'what is a' has no hard negative"});
  refused({"--no-in-batch-negatives", "odd", "--mixed-batches"}, {"--no-in-batch-negatives contradicts --mixed-batches"});
  refused({"--batch", "1"}, {"--batch 1", "has no hard negative"});
  refused({"--self-weight", "1"}, {"--self-weight", "the data has none"});
  refused({"--design", "3", "--layer", "1"}, {"design 3 contradicts --layer"});
  refused({"--matryoshka", "9999", "--head-steps", "0"}, {"--matryoshka"});
  refused({"--lora-first-layer", "2"}, {"--lora-first-layer: block must be in [0, 1], got 2"});
  refused({"--layer", "1", "--lora-first-layer", "1"}, {"LoRA would change nothing: no layer that is read lies behind block 1"});
  refused({"--layer", "0"}, {"LoRA would change nothing"});
  refused({"--head-steps", "3", "--pooling", "mean"}, {"--head-steps: head identity has nothing to train"});
  const std::string keys = fixture.out("keys");
  check_refused(fixture.train_head("bad", {"--pooling", "mean", "--key-cache", keys}),
                {"--freeze-backbone: head identity has nothing to train"});
  CHECK(!std::filesystem::exists(keys));  // which are not computed
  refused({"--steps", "010"}, {"--steps: '010' must not begin with a zero"});
  refused({"--seed", "18446744073709551616"}, {"--seed", "18446744073709551615"});
  const std::string few = fixture.folder.write("few.jsonl", R"({"query": "q", "positive": "p"})");
  refused({"--held-out", few}, {"--held-out: batch plan"});
  refused({"--lr", "1e30", "--steps", "30", "--clip", "0", "--warmup", "0", "--design", "1"}, {"training: step", "batch"});
  CHECK(fixture.train("skips", {"--data", broken, "--skip-bad-lines", "--steps", "1"}).status == 0);
  const Outcome again = fixture.train("skips", {"--steps", "1"});
  CHECK(again.status == 2);
  CHECK(again.error.find("--resume") != std::string::npos);
  const Outcome other = fixture.train("skips", {"--steps", "2", "--resume"});
  CHECK(other.status == 2);
  CHECK(other.error.find("another training") != std::string::npos);
}

TEST_CASE("flags that would change nothing are refused by name") {
  const Fixture pairs;
  Fixture scores;
  std::string lines;
  for (const char* score : {"1", "0.5", "0", "-1"})
    lines += std::string(R"({"sentence1": "a", "sentence2": "b)") + score + R"(", "task": "rated", "score": )" + score + "}\n";
  scores.data = scores.folder.write("scored.jsonl", lines);
  const auto refused = [](const Fixture& fixture, const std::vector<std::string>& flags, const std::string& flag) {
    check_refused(fixture.train_head("bad", flags), {flag + " would change nothing"});
    CHECK(!std::filesystem::exists(fixture.folder / "bad"));
  };
  const std::vector<std::vector<std::string>> of_positives = {
      {"--loss", "qwen3"}, {"--symmetric"}, {"--learn-temperature"}, {"--false-negative-margin", "0.1"}};
  for (std::vector<std::string> flags : of_positives) {
    refused(scores, flags, flags.front());
    flags.insert(flags.end(), {"--held-out", pairs.data, "--steps", "1"});  // whose loss it changes
    CHECK(scores.train_head("held" + flags.front(), flags).status == 0);
  }
  refused(pairs, {"--scored-loss", "angle"}, "--scored-loss");
  refused(pairs, {"--triplet-margin", "0.1"}, "--triplet-margin");
  refused(pairs, {"--lr", "0.1"}, "--lr");
  refused(pairs, {"--loss", "triplet", "--temperature", "0.1"}, "--temperature");
  refused(pairs, {"--data", scores.data, "--no-in-batch-negatives", "rated"}, "--no-in-batch-negatives rated");
  refused(scores, {"--scored-loss", "cosine-mse", "--temperature", "0.1"}, "--temperature");
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {"--head-queries", "2"}, {"--head-heads", "2"}, {"--head-dim", "2"}, {"--head-feed-forward", "2"}, {"--head-published-start"},
           {"--no-layer-table"}})
    check_refused(pairs.train_head("bad" + flags.front(), flags), {flags.front() + " would change nothing: head layer-mix"});
  check_refused(pairs.train_head("bad", {"--held-out-every", "5"}), {"--held-out-every", "--held-out"});
  check_refused(pairs.train_head("bad", {"--no-calibration", "--calibration-texts", "5"}), {"--no-calibration", "--calibration-texts"});
}

TEST_CASE("a training goes on where everything is as it was, and the first thing that is not is named") {
  const Fixture fixture;
  const auto begin = [&](const std::string& name) {
    REQUIRE(fixture.train_head("start", {"--steps", "2"}).status == 0);
    REQUIRE(fixture.train(name, {"--start-from", fixture.out("start"), "--steps", "2"}).status == 0);
  };
  const auto resume = [&](const std::string& name, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--steps", "2", "--resume"});
    return fixture.train(name, flags);
  };
  begin("run");
  CHECK(resume("run", {"--start-from", fixture.out("start")}).status == 0);
  check_refused(resume("run", {"--start-from", fixture.out("start"), "--lr", "0.02"}), {"lr", "was 0.01, is now 0.02"});
  check_refused(resume("run", {"--start-from", fixture.out("start"), "--instruction", "odd=Find: "}),
                {"embedder.prompts", "was null, is now {\"odd\":\"Find: \"}"});

  // The same place, and another start there.
  std::filesystem::remove_all(fixture.folder / "start");
  REQUIRE(fixture.train_head("start", {"--steps", "3"}).status == 0);
  check_refused(resume("run", {"--start-from", fixture.out("start")}), {"begins", "is of another training"});

  REQUIRE(fixture.train("heads", {"--head-steps", "2", "--steps", "2"}).status == 0);
  CHECK(resume("heads", {"--head-steps", "2"}).status == 0);
  check_refused(resume("heads", {"--head-steps", "3"}), {"head_steps", "was 2, is now 3"});
  // Stopped between the head and the first checkpoint of what follows.
  for (const char* file : {"checkpoint.safetensors", "embedder.json"}) std::filesystem::remove(fixture.folder / "heads" / file);
  check_refused(resume("heads", {"--head-steps", "3"}), {"heads/head/checkpoint.safetensors", "steps", "was 2, is now 3"});
  CHECK(resume("heads", {"--head-steps", "2"}).status == 0);

  REQUIRE(fixture.train_head("margin", {"--steps", "2", "--false-negative-margin", "0.1"}).status == 0);
  check_refused(fixture.train_head("margin", {"--steps", "2", "--resume"}), {"false_negative_margin", "was 0.1, is now null"});

  REQUIRE(fixture.train_head("model", {"--steps", "2"}).status == 0);
  write_llama(fixture.model, {}, 77);
  check_refused(fixture.train_head("model", {"--steps", "2", "--resume"}), {"begins", "is of another training"});

  std::filesystem::remove(fixture.folder / "model/checkpoint.safetensors");
  check_refused(fixture.train_head("model", {"--steps", "2", "--resume"}), {"checkpoint.safetensors", "no training to go on with"});
}

TEST_CASE("a folder that another training writes to is left alone") {
  const Fixture fixture;
  std::filesystem::create_directories(fixture.folder / "busy");
  const int other = open(fixture.out("busy").c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(flock(other, LOCK_EX) == 0);
  check_refused(fixture.train_head("busy", {"--steps", "1"}), {"busy", "another training is writing"});
  close(other);
  CHECK(fixture.train_head("busy", {"--steps", "1"}).status == 0);
}

TEST_CASE("parts of files that a killed training left are removed by the next one, and files of others stay") {
  const Fixture fixture;
  std::filesystem::create_directories(fixture.folder / "killed");
  for (const char* part : {"checkpoint.safetensors.part12-0", "log.jsonl.part3-1"})
    fixture.folder.write(std::string("killed/") + part, "half");
  fixture.folder.write("killed/notes.part1-0", "mine");
  REQUIRE(fixture.train_head("killed", {"--steps", "1"}).status == 0);
  CHECK(!std::filesystem::exists(fixture.folder / "killed/checkpoint.safetensors.part12-0"));
  CHECK(!std::filesystem::exists(fixture.folder / "killed/log.jsonl.part3-1"));
  CHECK(std::filesystem::exists(fixture.folder / "killed/notes.part1-0"));
}

TEST_CASE("kept keys are of one model and one start, wherever these lie") {
  const Fixture fixture;
  const std::string keys = fixture.out("keys.safetensors");
  const auto head = [&](const std::string& name) {
    return fixture.train_head(name, {"--start-from", fixture.out("start"), "--steps", "2", "--key-cache", keys});
  };
  REQUIRE(fixture.train("start", {"--head-steps", "0", "--steps", "2", "--warmup", "0"}).status == 0);
  REQUIRE(head("one").status == 0);
  REQUIRE(head("again").status == 0);
  std::filesystem::remove_all(fixture.folder / "start");
  REQUIRE(fixture.train("start", {"--head-steps", "0", "--steps", "2", "--warmup", "0", "--seed", "5"}).status == 0);
  check_refused(head("stale"), {"keys.safetensors", "is of other keys"});
}

TEST_CASE("flags that a start decides are refused beside it") {
  const Fixture fixture;
  REQUIRE(fixture.train("adapted", {"--head-steps", "0", "--steps", "2"}).status == 0);
  const auto start = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"train", "--model", fixture.model, "--data", fixture.data, "--output", fixture.out("next"), "--batch", "4",
                                 "--quiet", "--steps", "2", "--start-from", fixture.out("adapted")});
    return run(flags);
  };
  check_refused(start({"--lora-rank", "8"}), {"--lora-rank", "contradict --start-from"});
  check_refused(start({"--lora-targets", "q_proj"}), {"--lora-targets", "contradict --start-from"});
  check_refused(start({"--head", "identity"}), {"--head", "--start-from"});
  check_refused(start({"--head-steps", "7"}), {"--head-steps", "--start-from"});
  CHECK(start({}).status == 0);
}

TEST_CASE("data may come from a pipe, and its recipe follows from all of it") {
  const Fixture fixture;
  const auto piped = [&](const std::string& name, const std::string& lines, std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"train", "--model", fixture.model, "--data", "-", "--output", fixture.out(name), "--quiet",
                                 "--steps", "2", "--lora-rank", "2", "--head-steps", "2"});
    return run(flags, lines);
  };
  const Outcome outcome = piped("piped", Fixture::pairs(), {"--batch", "4"});
  CHECK_MESSAGE(outcome.status == 0, outcome.error);

  std::string taught;
  for (int i = 0; i < 60; ++i)
    taught += R"({"query": "q)" + std::to_string(i) + R"(", "positive": "p", "teacher": [[1, )" + std::to_string(i) + R"(], [0, 1]]})" + "\n";
  const Outcome bad_first = piped("bad first", "no example\n" + taught, {"--skip-bad-lines"});
  REQUIRE_MESSAGE(bad_first.status == 0, bad_first.error);
  REQUIRE(piped("good", taught, {}).status == 0);
  CHECK(fixture.bytes("bad first", "adapter_model.safetensors") == fixture.bytes("good", "adapter_model.safetensors"));
}

TEST_CASE("no task of like size is left out of the head that is trained first") {
  const Fixture fixture;
  std::string lines;
  for (int i = 0; i < 33; ++i)  // tasks of 9, 8, 8 and 8 examples
    lines += nlohmann::json{{"query", "q" + std::to_string(i)}, {"positive", "p" + std::to_string(i)}, {"task", "task " + std::to_string(i % 4)}}.dump() + "\n";
  const Outcome outcome = fixture.train("four", {"--data", fixture.folder.write("four.jsonl", lines), "--steps", "1", "--head-steps", "2"});
  REQUIRE(outcome.status == 0);
  CHECK(outcome.error.find("is left out") == std::string::npos);
}
