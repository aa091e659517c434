#include <chrono>
#include <cmath>
#include <set>
#include <sstream>

#include "program/small_training.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

double distance(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) most = std::max(most, std::abs(double(a[i][j]) - double(b[i][j])));
  return most;
}

/// The held-out losses in the log of a training, in their order.
std::vector<double> held_out_losses(const Fixture& fixture, const std::string& name) {
  std::vector<double> losses;
  for (const auto& line : lines_of(fixture.bytes(name, "log.jsonl")))
    if (line.contains("held_out_loss")) losses.push_back(line.at("held_out_loss"));
  return losses;
}

}  // namespace

TEST_CASE("every design is trained, leaves a log of every step, and embeds otherwise than before") {
  const Fixture fixture;
  for (const std::string design : {"1", "2", "3", "4", "5"}) {
    CAPTURE(design);
    const std::string name = "design" + design;
    const Outcome outcome = fixture.train(name, {"--design", design, "--steps", "4", "--warmup", "1"});
    CAPTURE(outcome.error);
    REQUIRE(outcome.status == 0);
    const auto log = lines_of(fixture.bytes(name, "log.jsonl"));
    REQUIRE(log.size() == 4);
    CHECK(log[3].at("step") == 3);
    CHECK(log[0].at("loss").get<double>() > 0);
    const auto config = nlohmann::json::parse(fixture.bytes(name, "embedder.json"));
    CHECK(config.at("mask") == (design > "3" ? "bidirectional" : "causal"));
    CHECK(config.at("layers") == (design == "3" || design == "5" ? "all" : "last"));
    CHECK(config.at("appended_ids") == nlohmann::json{257});
    CHECK(config.at("adapter") == true);
    REQUIRE(fixture.train(name + "still", {"--design", design, "--steps", "1", "--warmup", "1"}).status == 0);
    // The first of one warmup step has rate 0: nothing was learned.
    CHECK(distance(fixture.embed(name), fixture.embed(name + "still")) > 1e-3);
  }
}

TEST_CASE("an adapter that has learned nothing changes no embedding") {
  const Fixture fixture;
  REQUIRE(fixture.train("still", {"--steps", "1", "--lr", "0", "--head-lr", "0", "--head-steps", "0"}).status == 0);
  REQUIRE(fixture.train_head("frozen", {"--steps", "1", "--head-lr", "0"}).status == 0);
  const auto merged = fixture.embed("still");
  CHECK(merged == fixture.embed("frozen"));  // W + 0 A = W to the bit
}

TEST_CASE("a training that never leaves its warmup says so") {
  const Fixture fixture;
  const auto said = [&](const std::string& steps) {
    const Outcome outcome = run({"train", "--model", fixture.model, "--data", fixture.data, "--output", fixture.out(steps),
                                 "--freeze-backbone", "--batch", "4", "--warmup", "4", "--steps", steps});
    REQUIRE(outcome.status == 0);
    return outcome.error.find("--warmup 4 takes all of --steps " + steps) != std::string::npos;
  };
  CHECK(said("1"));
  CHECK(said("4"));
  CHECK(!said("5"));
}

TEST_CASE("a head on a frozen backbone learns, and no adapter is written") {
  const Fixture fixture;
  REQUIRE(fixture.train_head("head", {"--steps", "40", "--head-lr", "0.1", "--held-out", fixture.data, "--held-out-every", "20"}).status == 0);
  const std::vector<double> held_out = held_out_losses(fixture, "head");
  REQUIRE(held_out.size() == 3);  // before, after 20 and after 40 steps
  CHECK(held_out[2] < held_out[0]);
  CHECK(!std::filesystem::exists(fixture.folder / "head/adapter_model.safetensors"));
  CHECK(nlohmann::json::parse(fixture.bytes("head", "embedder.json")).at("head").at("type") == "layer-mix");
}

TEST_CASE("a head learns at the rate that suits its kind unless a flag says another") {
  const Fixture fixture;
  const auto head = [&](const std::string& name, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--steps", "3", "--warmup", "1"});
    REQUIRE(fixture.train_head(name, flags).status == 0);
    return fixture.bytes(name, "head.safetensors");
  };
  const std::string mix = head("mix", {}), attention = head("attention", {"--design", "2"});
  CHECK(lines_of(fixture.bytes("mix", "log.jsonl"))[1].at("rate") == 0.01);
  CHECK(mix == head("mix-0.01", {"--head-lr", "0.01"}));
  CHECK(mix != head("mix-0.001", {"--head-lr", "0.001"}));
  CHECK(attention == head("attention-0.001", {"--design", "2", "--head-lr", "0.001"}));
  CHECK(attention != head("attention-0.01", {"--design", "2", "--head-lr", "0.01"}));
}

TEST_CASE("kept keys give the same head as new ones, and are refused for other texts") {
  const Fixture fixture;
  const std::string keys = fixture.out("keys.safetensors");
  REQUIRE(fixture.train_head("one", {"--steps", "5", "--key-cache", keys}).status == 0);
  REQUIRE(fixture.train_head("two", {"--steps", "5", "--key-cache", keys}).status == 0);
  REQUIRE(fixture.train_head("three", {"--steps", "5"}).status == 0);
  CHECK(fixture.bytes("one", "head.safetensors") == fixture.bytes("two", "head.safetensors"));
  CHECK(fixture.bytes("one", "head.safetensors") == fixture.bytes("three", "head.safetensors"));
  const Outcome other = fixture.train_head("four", {"--steps", "5", "--key-cache", keys, "--max-tokens", "50"});
  CHECK(other.status == 2);
  CHECK(other.error.find("keys.safetensors") != std::string::npos);
  // What cannot be written is said before any text is read, which would be refused here.
  const auto refused = [&](const std::string& output, const std::string& cache, const std::string& part) {
    check_refused(run({"train", "--model", fixture.model, "--data", fixture.data, "--freeze-backbone", "--quiet", "--batch", "4",
                       "--max-tokens", "50", "--strict", "--output", output, "--key-cache", cache}), {part});
  };
  refused(fixture.out("five"), fixture.out("no folder/keys"), "no folder/keys: open for writing: No such file or directory");
  refused("/proc", keys + "-2", "/proc/checkpoint.safetensors: open for writing");
}

TEST_CASE("a training has the same bytes for any number of threads, and however often it is stopped or killed") {
  const Fixture fixture;
  // Looks at held-out data fall on checkpoints and beside them.
  const std::vector<std::string> flags{"--held-out", fixture.data, "--held-out-every", "7", "--steps", "300", "--lora-dropout", "0.1", "--checkpoint-every", "7", "--chunk", "3",
                                       "--design", "5", "--head-steps", "60", "--accumulate", "2"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), flags.begin(), flags.end());
    return more;
  };
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(fixture.train("whole", with({"--threads", "1"})).status == 0);
  // A fifth of the time that all of it takes here and now: the first run is stopped on its way on any machine.
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / 5;
  CHECK(fixture.interrupted(seconds, with({"--threads", "3", "--resume", "--model", fixture.model, "--data", fixture.data, "--output",
                                           fixture.out("parts"), "--batch", "4", "--quiet", "--lora-rank", "2", "--lr", "0.01"})) > 0);
  REQUIRE(fixture.train("parts", with({"--threads", "2", "--resume"})).status == 0);
  for (const char* file : {"adapter_model.safetensors", "head.safetensors", "calibration.safetensors", "log.jsonl", "embedder.json"}) {
    CAPTURE(file);
    CHECK(fixture.bytes("whole", file) == fixture.bytes("parts", file));
  }
}

TEST_CASE("without flags the head is trained first, and the adapter from there on") {
  const Fixture fixture;
  REQUIRE(fixture.train("both", {"--steps", "3", "--lr", "0", "--head-lr", "0"}).status == 0);
  CHECK(lines_of(fixture.bytes("both/head", "log.jsonl")).size() == 192);
  CHECK(lines_of(fixture.bytes("both", "log.jsonl")).size() == 3);
  CHECK(fixture.bytes("both", "head.safetensors") == fixture.bytes("both/head", "head.safetensors"));
  REQUIRE(fixture.train("alone", {"--steps", "3", "--lr", "0", "--head-lr", "0", "--head-steps", "0"}).status == 0);
  CHECK(fixture.bytes("both", "head.safetensors") != fixture.bytes("alone", "head.safetensors"));
}

TEST_CASE("pairs, and scored pairs beside them, are learned by the losses that are named") {
  const Fixture fixture;
  std::string lines;
  for (int i = 0; i < 8; ++i) lines += R"({"sentence1": "word )" + std::string(1, static_cast<char>('a' + i)) + R"(", "sentence2": "letter )" +
                                       std::string(1, static_cast<char>('a' + i * i % 8)) + R"(", "score": )" + std::to_string(i * 0.1) + "}\n";
  const std::string scored = fixture.folder.write("scored.jsonl", lines);
  std::set<std::string> heads;
  for (const std::string loss : {"cosent", "angle", "cosine-mse"}) {
    CAPTURE(loss);
    const Outcome outcome = fixture.train_head(loss, {"--data", scored, "--steps", "8", "--scored-loss", loss, "--held-out", scored, "--matryoshka", "6"});
    CAPTURE(outcome.error);
    REQUIRE(outcome.status == 0);
    heads.insert(fixture.bytes(loss, "head.safetensors"));
  }
  for (const std::string loss : {"infonce", "qwen3"}) {  // nothing scored
    REQUIRE(fixture.train_head(loss, {"--steps", "8", "--matryoshka", "6", "--loss", loss}).status == 0);
    heads.insert(fixture.bytes(loss, "head.safetensors"));
  }
  CHECK(heads.size() == 5);
  check_refused(fixture.train_head("qwen3", {"--steps", "8", "--matryoshka", "6", "--resume"}), {"another training"});
  check_refused(fixture.train_head("bad", {"--data", scored, "--mixed-batches"}), {"--mixed-batches: only some of the data has scores"});
  check_refused(fixture.train_head("bad", {"--held-out", scored, "--scored-loss", "cosine"}), {"--scored-loss"});
  const std::string large = fixture.folder.write("large.jsonl", lines + R"({"sentence1": "a", "sentence2": "b", "score": 5})" + "\n");
  check_refused(fixture.train_head("bad", {"--data", large, "--scored-loss", "cosine-mse"}), {"must be in [-1, 1]"});
  check_refused(fixture.train_head("angle", {"--data", scored, "--steps", "8", "--held-out", scored, "--matryoshka", "6", "--resume"}), {"another training"});
}

TEST_CASE("triplets learn from hard negatives, which every example must have") {
  const Fixture fixture;
  std::string triplets;
  std::istringstream pairs(Fixture::pairs());
  for (std::string line; std::getline(pairs, line);)
    if (line.find("negative") != std::string::npos) triplets += line + "\n";
  Fixture with_negatives;
  with_negatives.data = with_negatives.folder.write("triplets.jsonl", triplets);
  const auto train = [&](const std::string& name, std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--steps", "20", "--design", "2", "--held-out", with_negatives.data, "--held-out-every", "20"});
    return with_negatives.train_head(name, flags);
  };
  const auto trained = [&](const std::string& name, const std::vector<std::string>& flags) {
    REQUIRE(train(name, flags).status == 0);
    return with_negatives.bytes(name, "head.safetensors");
  };
  const std::string head = trained("near", {"--loss", "triplet"});
  const std::vector<double> held_out = held_out_losses(with_negatives, "near");
  REQUIRE(held_out.size() == 2);  // before, and after 20 steps
  CHECK(held_out[1] < held_out[0]);
  CHECK(head != trained("far", {"--loss", "triplet", "--triplet-margin", "0.1"}));
  CHECK(head != trained("infonce", {}));
  check_refused(train("near", {"--loss", "triplet", "--triplet-margin", "0.1", "--resume"}), {"another training"});
  check_refused(fixture.train_head("bad", {"--loss", "triplet"}), {"has no hard negative"});
  check_refused(with_negatives.train_head("bad", {"--loss", "triplet", "--negatives", "0"}), {"has no hard negative"});
  check_refused(with_negatives.train_head("bad", {"--loss", "triplet", "--symmetric"}), {"--loss triplet contradicts --symmetric"});
  // Nor is a held-out loss measured that is 0 whatever the model is.
  const std::string lone = fixture.folder.write("lone.jsonl", R"({"query": "q", "positive": "p", "task": "odd"})");
  for (const std::string flag : {"--batch", "--no-in-batch-negatives"})
    check_refused(with_negatives.train("bad", {flag, flag == "--batch" ? "1" : "odd", "--held-out", lone}),
                  {flag, "'q' has no hard negative"});
}

TEST_CASE("training goes on from a trained folder") {
  const Fixture fixture;
  REQUIRE(fixture.train_head("first", {"--steps", "5"}).status == 0);
  REQUIRE(fixture.train("second", {"--start-from", fixture.out("first"), "--steps", "1", "--lr", "0", "--head-lr", "0"}).status == 0);
  CHECK(fixture.bytes("first", "head.safetensors") == fixture.bytes("second", "head.safetensors"));
  CHECK(fixture.embed("first") == fixture.embed("second"));
}

TEST_CASE("an instruction of a task is trained with, saved, and put in front of its queries by name") {
  const Fixture fixture;
  REQUIRE(fixture.train("told", {"--steps", "2", "--instruction", "odd=Find it: ", "--instruction", "even=Even: ", "--instruction", "sts=Say: "}).status == 0);
  CHECK(nlohmann::json::parse(fixture.bytes("told", "embedder.json")).at("prompts").at("odd") == "Find it: ");
  CHECK(fixture.embed("told", {"--task", "odd"}) != fixture.embed("told"));
  // As a query of the task the word is no longer the same text as in the corpus.
  const std::string words = fixture.folder.write("words.txt", "aa\nbb\n");
  const auto nearest = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"nearest", "--model", fixture.model, "--trained", fixture.out("told"), "--corpus", words, "--queries",
                                 words, "--top", "1", "--quiet"});
    const Outcome outcome = run(flags);
    REQUIRE(outcome.status == 0);
    return outcome.output;
  };
  CHECK(nearest({}) == "aa\n   1.00  aa\nbb\n   1.00  bb\n");
  CHECK(nearest({"--task", "odd"}) != nearest({}));
  const Outcome unknown = run({"embed", "--model", fixture.model, "--trained", fixture.out("told"), "--task", "oddly", "--input", "-"}, "a\n");
  CHECK(unknown.status == 2);
  CHECK(unknown.error.find("even, odd, sts") != std::string::npos);
}
