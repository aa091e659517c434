#include "program/program.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

/// A random Llama with a tokenizer of bytes, and commands for it.
struct Fixture {
  Folder folder{};
  std::string model = (folder / "model").string();

  explicit Fixture(bool closing = false) {
    write_llama(model, {});
    write_byte_tokenizer(model, closing);
  }
  Outcome embed(const std::string& input, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"embed", "--model", model, "--input", "-"});
    return run(flags, input);
  }
  std::vector<std::vector<float>> vectors(const std::string& input, const std::vector<std::string>& flags = {}) const {
    const Outcome outcome = embed(input, flags);
    CHECK(outcome.error == "");
    REQUIRE(outcome.status == 0);
    return embeddings(outcome.output);
  }
};

/// JSON line of the bytes of a text as ids.
std::string ids_line(const std::string& text, std::vector<int> behind = {}, std::vector<int> before = {}) {
  for (const char c : text) before.push_back(static_cast<unsigned char>(c));
  before.insert(before.end(), behind.begin(), behind.end());
  return nlohmann::json{{"tokens", before}}.dump() + "\n";
}

const std::string texts = "one\na longer second text\n\xC3\xA9t\xC3\xA9\none\n";

}  // namespace

TEST_CASE("a text a line, JSON lines of text and of ids give the same vectors to the bit") {
  const Fixture fixture;
  const auto plain = fixture.vectors(texts);
  REQUIRE(plain.size() == 4);
  CHECK(plain == fixture.vectors("{\"text\":\"one\"}\n{\"text\":\"a longer second text\"}\n{\"text\":\"\\u00e9t\\u00e9\"}\n"
                                 "{\"text\":\"one\"}\n"));
  CHECK(plain == fixture.vectors(ids_line("one") + ids_line("a longer second text") + ids_line("\xC3\xA9t\xC3\xA9") +
                                 ids_line("one")));
  CHECK(plain == fixture.vectors(ids_line("one") + "\n" + ids_line("a longer second text") + " \r\n" + ids_line("\xC3\xA9t\xC3\xA9") +
                                 ids_line("one") + "\n"));  // lines of white space are no texts there
  CHECK(fixture.embed("\n\n", {"--input-format", "jsonl"}).error.find("the input is empty") != std::string::npos);
  CHECK(plain == fixture.vectors("one\r\na longer second text\r\n\xC3\xA9t\xC3\xA9\r\none"));
  CHECK(plain[0] == plain[3]);
  CHECK(plain[0] != plain[1]);
}

TEST_CASE("a file named .jsonl holds JSON lines: one that is none is refused, not embedded as it stands") {
  const Fixture fixture;
  const auto refused = [&](const std::string& content, const std::vector<std::string>& parts) {
    const std::string path = fixture.folder.write("input.jsonl", content);
    const auto outcome = run({"embed", "--model", fixture.model, "--input", path});
    CHECK(outcome.status == 2);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(outcome.error.find(part) != std::string::npos);
    }
    CHECK(run({"embed", "--model", fixture.model, "--input", path, "--input-format", "lines"}).status == 0);
  };
  refused("{\"query\": \"a\", \"positive\": \"b\"}\n", {"input.jsonl", "line 1", "\"text\" or \"tokens\""});
  refused("{\"text\": \"a\n{\"text\": \"b\"}\n", {"input.jsonl", "line 1"});
}

TEST_CASE("neither the size of batches nor the number of threads changes a bit") {
  const Fixture fixture;
  std::string many;
  for (int i = 0; i < 60; ++i) many += "text " + std::string(static_cast<std::size_t>(i % 23), 'x') + "\n";
  const auto reference = fixture.vectors(many, {"--layers", "all", "--pooling", "last+mean"});
  for (const std::string batch : {"1", "40", "100000"})
    for (const std::string threads : {"1", "3"})
      CHECK(reference == fixture.vectors(many, {"--layers", "all", "--pooling", "last+mean", "--batch-tokens", batch,
                                                "--threads", threads}));
}

TEST_CASE("the npy output holds what the JSON lines hold, and the format follows the name") {
  const Fixture fixture;
  const auto rows = fixture.vectors(texts);
  const std::string path = (fixture.folder / "out.npy").string();
  REQUIRE(fixture.embed(texts, {"--output", path}).status == 0);
  const Matrix<float> values = read_npy(path);
  REQUIRE(values.rows() == static_cast<Index>(rows.size()));
  for (Index i = 0; i < values.rows(); ++i)
    CHECK(std::vector<float>(values.row(i).begin(), values.row(i).end()) == rows[static_cast<std::size_t>(i)]);
  const Outcome piped = fixture.embed(texts, {"--format", "npy"});
  CHECK(piped.output == read_file(path));
  REQUIRE(fixture.embed(texts, {"--output", path, "--format", "jsonl"}).status == 0);
  CHECK(embeddings(read_file(path)) == rows);
}

TEST_CASE("an id of the input comes back with its embedding") {
  const Fixture fixture;
  const Outcome outcome = fixture.embed("{\"text\":\"a\",\"id\":\"first\"}\n{\"text\":\"b\"}\n{\"text\":\"c\",\"id\":7}\n");
  std::istringstream lines(outcome.output);
  std::vector<nlohmann::json> ids;
  for (std::string line; std::getline(lines, line);) ids.push_back(nlohmann::json::parse(line).value("id", nlohmann::json()));
  CHECK(ids == std::vector<nlohmann::json>{"first", nullptr, 7});
}

TEST_CASE("plain decoders append nothing; flags and the tokenizer's own configuration decide") {
  const Fixture plain;
  CHECK(plain.vectors("ab\n") == plain.vectors(ids_line("ab")));
  CHECK(plain.vectors("ab\n", {"--append-eos"}) == plain.vectors(ids_line("ab", {257})));
  CHECK(plain.vectors("ab\n", {"--append-eos", "--prepend-bos"}) == plain.vectors(ids_line("ab", {257}, {256})));
  CHECK(plain.vectors(ids_line("ab"), {"--append-eos"}) == plain.vectors(ids_line("ab", {257})));

  const Fixture closing(true);
  CHECK(closing.vectors("ab\n") == closing.vectors(ids_line("ab", {257})));
  CHECK(closing.vectors("ab\n", {"--no-append-eos"}) == closing.vectors(ids_line("ab")));
}

TEST_CASE("a model without tokenizer embeds ids, and says what is missing for texts") {
  const Fixture fixture;
  std::filesystem::remove(fixture.folder / "model/tokenizer.json");
  CHECK(fixture.vectors(ids_line("ab")).size() == 1);
  // config.json names the end of a text: 2.
  CHECK(fixture.vectors(ids_line("ab"), {"--append-eos"}) == fixture.vectors(ids_line("ab", {2})));
  const Outcome outcome = fixture.embed("ab\n");
  CHECK(outcome.status == 2);
  CHECK(outcome.error.find("tokenizer.json") != std::string::npos);
}

TEST_CASE("prompts and templates stand around the text, and readers can leave them out") {
  const Fixture fixture;
  CHECK(fixture.vectors("ab\n", {"--prompt", "in: "}) == fixture.vectors("in: ab\n"));
  CHECK(fixture.vectors("ab\n", {"--template", "<{text}> is"}) == fixture.vectors("<ab> is\n"));
  // Under a causal mask the text's own states do not see what follows, so this mean is that without the rest.
  const auto own = fixture.vectors("ab\n", {"--template", "<{text}> is", "--pooling", "mean@text"});
  CHECK(own == fixture.vectors("<ab\n", {"--pooling", "mean@skip:1"}));
  CHECK(own == fixture.vectors("ab\n", {"--template", "<{text}> is", "--pooling", "mean", "--exclude-prompt"}));
  CHECK(fixture.vectors("ab\n", {"--template", "{text}, {text}", "--pooling", "mean@second-copy"}) ==
        fixture.vectors("ab, ab\n", {"--pooling", "mean@skip:4"}));
}

TEST_CASE("the mask, the pooling and the layers are those of the flags") {
  const Fixture fixture;
  const auto with = [&](const std::vector<std::string>& flags) { return fixture.vectors("some text\n", flags); };
  CHECK(with({"--mask", "causal"}) == with({}));
  CHECK(with({"--mask", "bidirectional"}) != with({}));
  CHECK(with({"--mask", "window:100"}) == with({}));
  CHECK(with({"--mask", "window:2"}) != with({}));
  CHECK(with({"--mask", "prefix", "--prompt", "p"}) == with({"--prompt", "p"}));  // one prompt token sees itself
  CHECK(with({"--mask", "prefix", "--prompt", "pq"}) != with({"--prompt", "pq"}));
  CHECK(with({"--layer", "2"}) == with({}));
  CHECK(with({"--layer", "-1"}) == with({}));
  CHECK(with({"--layer", "-3"}) == with({"--layer", "0"}));
  CHECK(with({"--layers", "1-2"}) == with({"--layers", "all"}));
  CHECK(with({"--layers", "all"}) != with({}));
  CHECK(with({"--pooling", "mean@skip:2"}) == with({"--skip-first", "2"}));
  CHECK(with({"--pooling", "last,first"}) == with({"--pooling", "last+first"}));
}

TEST_CASE("vectors have length one unless told otherwise, and keep their first dimensions") {
  const Fixture fixture;
  const auto raw = fixture.vectors("text\n", {"--no-normalize"}).front();
  const auto unit = fixture.vectors("text\n", {"--dimensions", "5"}).front();
  REQUIRE(unit.size() == 5);
  double length = 0;
  for (std::size_t i = 0; i < 5; ++i) length += double(raw[i]) * double(raw[i]);
  // Both sides round to float once or twice.
  for (std::size_t i = 0; i < 5; ++i) CHECK(unit[i] == doctest::Approx(double(raw[i]) / std::sqrt(length)).epsilon(1e-6));
}

TEST_CASE("a long text is cut and counted, keeps its template and end, and is refused with --strict") {
  const Fixture fixture;
  const std::string text(100, 'x'), kept(9, 'x');
  const std::vector<std::string> flags = {"--max-tokens", "12", "--template", "<{text}>", "--append-eos"};
  const Outcome cut = fixture.embed(text + "\nshort\n", flags);
  REQUIRE(cut.status == 0);
  CHECK(cut.error.find("1 of 2 texts") != std::string::npos);
  CHECK(embeddings(cut.output)[0] == fixture.vectors("<" + kept + ">\n", {"--append-eos"})[0]);
  CHECK(fixture.embed(text + "\n").error.find("64 tokens") != std::string::npos);  // the model's own length
  std::vector<std::string> strict = flags;
  strict.push_back("--strict");
  const Outcome refused = fixture.embed("short\n" + text + "\n", strict);
  CHECK(refused.status == 2);
  CHECK(refused.error.find("line 2") != std::string::npos);
  CHECK(refused.output == "");
}

TEST_CASE("a saved sentence-transformers pooling is followed") {
  const Fixture fixture;
  std::filesystem::create_directories(fixture.folder / "model/1_Pooling");
  fixture.folder.write("model/modules.json",
                       R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
                           {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}])");
  fixture.folder.write("model/1_Pooling/config.json", R"({"pooling_mode_lasttoken": true, "include_prompt": true})");
  CHECK(fixture.vectors("text\n") == fixture.vectors("text\n", {"--pooling", "last", "--no-normalize"}));
  fixture.folder.write("model/1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "include_prompt": false})");
  const std::vector<std::string> ends{"--append-eos", "--no-normalize"};  // the end is pooled, too
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), ends.begin(), ends.end());
    return fixture.vectors("text\n", more);
  };
  CHECK(with({}) == with({"--pooling", "mean"}));
  CHECK(with({"--prompt", "say: "}) == with({"--prompt", "say: ", "--pooling", "mean@after-prompt"}));
  CHECK(with({"--prompt", "say: "}) != with({"--prompt", "say: ", "--pooling", "mean@text"}));
  CHECK(with({"--prompt", "say: "}) != with({"--prompt", "say: ", "--pooling", "mean"}));
  fixture.folder.write("model/1_Pooling/config.json",
                       R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true})");
  const auto both = fixture.vectors("text\n").front();
  auto expected = fixture.vectors("text\n", {"--pooling", "first"}).front();
  const auto mean = fixture.vectors("text\n", {"--pooling", "mean"}).front();
  expected.insert(expected.end(), mean.begin(), mean.end());
  CHECK(both == expected);
  fixture.folder.write("model/config_sentence_transformers.json", R"({"truncate_dim": 5})");
  CHECK(fixture.vectors("text\n").front() == std::vector<float>(both.begin(), both.begin() + 5));
  fixture.folder.write("model/config_sentence_transformers.json", R"({"truncate_dim": 500})");
  CHECK(fixture.vectors("text\n").front() == both);
  fixture.folder.write("model/config_sentence_transformers.json",
                       R"({"prompts": {"query": "find: ", "text": "read: "}, "default_prompt_name": "text"})");
  CHECK(fixture.vectors("text\n") == fixture.vectors("text\n", {"--prompt", "read: "}));
  CHECK(fixture.vectors("text\n", {"--task", "query"}) == fixture.vectors("text\n", {"--prompt", "find: "}));
  check_refused(fixture.embed("text\n", {"--task", "topic"}), {"has no task 'topic'", "query, text"});
  fixture.folder.write("model/sentence_bert_config.json", R"({"modality_config": {"message": {}}})");
  check_refused(fixture.embed("text\n"), {"1_Pooling/config.json", "chat template", "sentence_bert_config.json", "--pooling"});
}

TEST_CASE("a model that says it is bidirectional is read so, unless a flag says otherwise") {
  const Fixture fixture;
  const auto causal = fixture.vectors("some text\n");
  auto config = nlohmann::json::parse(read_file(fixture.folder / "model/config.json"));
  config["is_causal"] = false;
  fixture.folder.write("model/config.json", config.dump());
  CHECK(fixture.vectors("some text\n") == fixture.vectors("some text\n", {"--mask", "bidirectional"}));
  CHECK(fixture.vectors("some text\n", {"--mask", "causal"}) == causal);
  CHECK(fixture.vectors("some text\n") != causal);
}

TEST_CASE("a bidirectional model keeps its sliding window, to both sides") {
  const Fixture fixture;
  auto config = nlohmann::json::parse(read_file(fixture.folder / "model/config.json"));
  config["model_type"] = "mistral", config["sliding_window"] = 3, config["is_causal"] = false;
  fixture.folder.write("model/config.json", config.dump());
  const auto own = fixture.vectors("some longer text\n");
  CHECK(own == fixture.vectors("some longer text\n", {"--mask", "bidirectional-window:3"}));
  CHECK(own != fixture.vectors("some longer text\n", {"--mask", "bidirectional"}));
}

TEST_CASE("--compute chooses the arithmetic: close vectors for quantised weights, the same for floats where it has none") {
  const std::string quantised = EMBEDPOOL_TEST_GOLDEN_DIR "/gguf/llama-mixed.gguf";  // Q4_0, Q4_1, Q5_0, Q5_1, Q8_0
  const std::string input = "{\"tokens\":[3,1,4,1,5,9,2,6,5,3,5]}\n{\"tokens\":[7,7,2]}\n";
  const auto computed = [&](const std::string& model, const std::string& compute) {
    const Outcome outcome = run({"embed", "--model", model, "--input", "-", "--compute", compute}, input);
    CHECK(outcome.error == "");
    REQUIRE(outcome.status == 0);
    return embeddings(outcome.output);
  };
  const auto reference = computed(quantised, "f32");
  for (const std::string compute : {"int8", "bf16"}) {
    CAPTURE(compute);
    const auto vectors = computed(quantised, compute);
    CHECK(vectors != reference);  // another arithmetic was used
    for (std::size_t b = 0; b < reference.size(); ++b) {
      double cosine = 0;
      for (std::size_t j = 0; j < reference[b].size(); ++j)
        cosine += static_cast<double>(vectors[b][j]) * static_cast<double>(reference[b][j]);
      CHECK(cosine > 0.999);  // both round to 8 bits, through two or three blocks
    }
  }
  const Fixture floats;
  CHECK(computed(floats.model, "int8") == computed(floats.model, "f32"));
  const Outcome refused = run({"embed", "--model", quantised, "--input", "-", "--compute", "fp4"}, input);
  CHECK(refused.status != 0);
  CHECK(refused.error.find("--compute") != std::string::npos);
}
