// A trained adapter merged into a model's files: the same embeddings, and a folder that other programs open.
#include <algorithm>

#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter_writer.hpp"
#include "embedpool/io/saved_embedder.hpp"
#include "model/golden_support.hpp"
#include "program/program.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

/// A PEFT adapter on the queries, keys and gates of every block of a model.
void write_adapter(const std::string& model, const std::filesystem::path& folder, int seed) {
  const DecoderConfig config = io::load_decoder<float>(std::filesystem::path(model)).config();
  std::mt19937 random(static_cast<unsigned>(seed));
  std::normal_distribution<float> normal(0, 0.2f);
  LoraAdapter<float> adapter;
  for (const auto kind : {DecoderTensor::query, DecoderTensor::key, DecoderTensor::gate})
    for (Index layer = 0; layer < config.layers; ++layer) {
      const auto [rows, cols] = tensor_shape(kind, config);
      LoraPair<float> lora{Matrix<float>(2, cols), Matrix<float>(rows, 2), 2.0f};
      for (Matrix<float>* half : {&lora.a, &lora.b})
        for (Index i = 0; i < half->size(); ++i) half->data()[i] = normal(random);
      adapter.entries.push_back({{kind, layer}, std::move(lora)});
    }
  io::write_peft_adapter(adapter, {.base_model = "base"}, folder);
}

/// A trained folder, as `embedpool train` writes it, for a reading that is settled by what `change` does to it.
template <class Change>
void write_trained(const std::string& model, const std::filesystem::path& folder, Change&& change) {
  const DecoderConfig config = io::load_decoder<float>(std::filesystem::path(model)).config();
  write_adapter(model, folder, 1);
  io::SavedEmbedder saved;
  saved.config.model = {config.architecture, config.layers, config.width, config.vocabulary};
  saved.config.tokens = AnyTokens::parse("mean");
  saved.config.finishing.normalize = true;
  saved.config.adapter = true;
  change(saved.config);
  saved.head = saved.config.head.init<float>(config.width, io::SavedEmbedder::slots(saved.config), 5);
  saved.write(folder);
}

struct Fixture {
  Folder folder{};
  std::string model = (folder / "model").string(), trained = (folder / "trained").string(), out = (folder / "out").string();
  std::string texts = "one text\nanother, longer text\na\n";

  explicit Fixture(LlamaSizes sizes = {}) {
    write_llama(model, sizes);
    write_byte_tokenizer(model, true);
  }
  Outcome merge(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"merge", "--model", model, "--output", out});
    return run(flags);
  }
  std::vector<std::vector<float>> embed(const std::string& path, std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(), {"embed", "--quiet", "--model", path, "--input", "-"});
    const Outcome outcome = run(flags, texts);
    REQUIRE_MESSAGE(outcome.status == 0, outcome.error);
    return embeddings(outcome.output);
  }
};

/// The largest difference of two lists of unit vectors.
float difference(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  REQUIRE(a.size() == b.size());
  REQUIRE(!a.empty());
  float most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) most = std::max(most, std::abs(a[i][j] - b.at(i).at(j)));
  return most;
}

/// Sums in another order, where rotation pairs other columns, over two to four blocks.
constexpr float rounding = 1e-5f;

}  // namespace

TEST_CASE("a merged model embeds as its base with the trained folder, with head, prompt and appended ids, by the printed line") {
  Fixture fixture;
  write_trained(fixture.model, fixture.trained, [](io::EmbedderConfig& config) {
    config.mask = AnyMask::parse("bidirectional");
    config.layers = "all";
    config.layout.prompt = io::PromptTemplate::parse("<{text}>");
    config.layout.appended = {257, 7};
    config.head = AnyHead::named("layer-mix");
  });
  const Outcome merged = fixture.merge({"--trained", fixture.trained});
  REQUIRE_MESSAGE(merged.status == 0, merged.error);
  CHECK(merged.output == "embedpool embed --model " + fixture.out + " --trained " + fixture.out +
                             " --input texts.txt --output vectors.npy\n");
  CHECK(merged.error.find("bidirectional") != std::string::npos);  // which sentence-transformers does not know
  CHECK_FALSE(std::filesystem::exists(fixture.out + "/modules.json"));
  const auto expected = fixture.embed(fixture.model, {"--trained", fixture.trained});
  CHECK(difference(fixture.embed(fixture.out, {"--trained", fixture.out}), expected) < rounding);
  const auto config = nlohmann::json::parse(read_file(fixture.out + "/embedder.json"));
  CHECK_FALSE(config.contains("adapter"));
  CHECK(read_file(fixture.out + "/tokenizer.json") == read_file(fixture.model + "/tokenizer.json"));
  // Without the adapter the embeddings are others, so the comparison above could have failed.
  CHECK(difference(fixture.embed(fixture.model), fixture.embed(fixture.out)) > 0.01f);
}

TEST_CASE("a reading that sentence-transformers knows is followed without the trained folder") {
  Fixture fixture;
  write_trained(fixture.model, fixture.trained, [](io::EmbedderConfig& config) {
    config.tokens = AnyTokens::parse("last");
    config.layout.prompt = io::PromptTemplate::prompt("query: ");
    config.layout.appended = {257};  // as the tokenizer does
  });
  const Outcome merged = fixture.merge({"--trained", fixture.trained});
  REQUIRE_MESSAGE(merged.status == 0, merged.error);
  CHECK(merged.error == "");
  CHECK(difference(fixture.embed(fixture.out), fixture.embed(fixture.model, {"--trained", fixture.trained})) < rounding);
}

TEST_CASE("a modules.json is written for the mask that the model's configuration asks for, and for no other") {
  Fixture fixture;
  auto model = nlohmann::json::parse(read_file(fixture.model + "/config.json"));
  model["is_causal"] = false;
  fixture.folder.write("model/config.json", model.dump());
  for (const std::string mask : {"causal", "bidirectional"}) {
    CAPTURE(mask);
    fixture.out = (fixture.folder / mask).string();
    write_trained(fixture.model, fixture.trained, [&](io::EmbedderConfig& config) {
      config.mask = AnyMask::parse(mask);
      config.layout.appended = {257};
    });
    REQUIRE(fixture.merge({"--trained", fixture.trained}).status == 0);
    CHECK(std::filesystem::exists(fixture.out + "/modules.json") == (mask == "bidirectional"));
  }
}

TEST_CASE("several adapters are merged one after the other, and the base's own pooling is kept") {
  Fixture fixture;
  fixture.folder.write("model/modules.json", R"([{"type": "x.Transformer", "path": "."}, {"type": "x.Pooling", "path": "steps/1_Pooling"}])");
  std::filesystem::create_directories(fixture.model + "/steps/1_Pooling");
  fixture.folder.write("model/steps/1_Pooling/config.json", R"({"pooling_mode_lasttoken": true})");
  const std::string first = (fixture.folder / "first").string(), second = (fixture.folder / "second").string();
  write_adapter(fixture.model, first, 1);
  write_adapter(fixture.model, second, 2);
  REQUIRE(fixture.merge({"--adapter", first, second}).status == 0);
  const std::string once = (fixture.folder / "once").string(), twice = (fixture.folder / "twice").string();
  REQUIRE(run({"merge", "--model", fixture.model, "--adapter", first, "--output", once}).status == 0);
  REQUIRE(run({"merge", "--model", once, "--adapter", second, "--output", twice}).status == 0);
  CHECK(read_file(fixture.out + "/model.safetensors") == read_file(twice + "/model.safetensors"));
  CHECK(read_file(fixture.out + "/model.safetensors") != read_file(once + "/model.safetensors"));
  CHECK(fixture.embed(fixture.out) == fixture.embed(twice, {"--pooling", "last", "--no-normalize"}));
}

TEST_CASE("half the bytes hold the same model to their own rounding") {
  Fixture fixture;
  write_adapter(fixture.model, fixture.trained, 1);
  REQUIRE(fixture.merge({"--adapter", fixture.trained}).status == 0);
  const auto expected = fixture.embed(fixture.out);
  const auto bytes = std::filesystem::file_size(fixture.out + "/model.safetensors");
  for (const auto& [type, name, error] : {std::tuple{"bf16", "bfloat16", 0.02f}, {"f16", "float16", 0.002f}}) {
    const std::string half = (fixture.folder / type).string();
    REQUIRE(run({"merge", "--model", fixture.model, "--adapter", fixture.trained, "--dtype", type, "--output", half}).status == 0);
    CHECK(std::filesystem::file_size(half + "/model.safetensors") < bytes * 6 / 10);
    CHECK(nlohmann::json::parse(read_file(half + "/config.json")).at("torch_dtype") == name);
    CHECK(difference(fixture.embed(half), expected) < error);  // 2^-9 and 2^-12 a weight, over two blocks
    CHECK(difference(fixture.embed(half), expected) > 0);
  }
}

TEST_CASE("every GGUF file becomes a Hugging Face model with the same embeddings, adapter merged") {
  int files = 0;
  for (const auto& path : entries(golden_directory() / "gguf", ".gguf")) {
    CAPTURE(path.string());
    Fixture fixture;
    fixture.model = path.string();
    fixture.texts = "{\"tokens\": [1, 5, 9, 3, 2]}\n{\"tokens\": [4]}\n";  // of any vocabulary
    write_trained(fixture.model, fixture.trained, [](io::EmbedderConfig&) {});
    const Outcome merged = fixture.merge({"--trained", fixture.trained});
    REQUIRE_MESSAGE(merged.status == 0, merged.error);
    const auto expected = fixture.embed(fixture.model, {"--trained", fixture.trained});
    CHECK(difference(fixture.embed(fixture.out, {"--trained", fixture.out}), expected) < rounding);
    ++files;
  }
  CHECK(files > 0);
}

TEST_CASE("an adapter is not taken twice: neither with the model that it is merged into, nor merged into that again, nor at once") {
  const Fixture fixture;
  write_trained(fixture.model, fixture.trained, [](io::EmbedderConfig&) {});
  const std::string other = (fixture.folder / "other").string(), twice = (fixture.folder / "twice").string();
  write_adapter(fixture.model, other, 2);
  check_refused(fixture.merge({"--adapter", other, fixture.trained, other}), {other, "twice"});
  REQUIRE(fixture.merge({"--trained", fixture.trained}).status == 0);
  const std::vector<std::string> parts = {fixture.trained, "is merged into", "already"};
  check_refused(run({"embed", "--model", fixture.out, "--trained", fixture.trained, "--input", "-"}, "a\n"), parts);
  check_refused(run({"merge", "--model", fixture.out, "--adapter", fixture.trained, "--output", twice}), parts);
  REQUIRE(run({"merge", "--model", fixture.out, "--adapter", other, "--output", twice}).status == 0);
  check_refused(run({"embed", "--model", twice, "--trained", fixture.trained, "--input", "-"}, "a\n"), parts);
}

TEST_CASE("what must not be overwritten, or does not belong together, is refused by name and leaves nothing") {
  Fixture fixture;
  write_adapter(fixture.model, fixture.trained, 1);
  const auto refused = [&](const std::vector<std::string>& arguments, const std::vector<std::string>& culprits) {
    const Outcome outcome = run(arguments);
    CAPTURE(outcome.error);
    CHECK(outcome.status == 2);
    CHECK(outcome.output == "");
    for (const std::string& culprit : culprits) {
      CAPTURE(culprit);
      CHECK(outcome.error.find(culprit) != std::string::npos);
    }
  };
  const std::size_t before = fixture.folder.entries();
  refused({"merge", "--model", fixture.model, "--adapter", fixture.trained, "--output", fixture.model},
          {fixture.model, "holds a model already"});
  refused({"merge", "--model", fixture.model, "--adapter", fixture.trained, "--output", fixture.trained}, {"not empty"});
  refused({"merge", "--model", fixture.model, "--output", fixture.out}, {"--trained or --adapter"});
  refused({"merge", "--model", fixture.model, "--adapter", fixture.model, "--output", fixture.out}, {"adapter_config.json"});
  refused({"merge", "--model", fixture.model, "--trained", fixture.trained, "--output", fixture.out}, {"embedder.json"});
  refused({"merge", "--model", fixture.model, "--adapter", fixture.trained, "--dtype", "q4", "--output", fixture.out}, {"--dtype"});
  CHECK(fixture.folder.entries() == before);
  const Fixture wider({.width = 24});
  refused({"merge", "--model", wider.model, "--adapter", fixture.trained, "--output", fixture.out},
          {"adapter_model.safetensors", "layers.0.mlp.gate_proj.lora_A.weight", "shape"});
  const Fixture shallow({.layers = 1});
  refused({"merge", "--model", shallow.model, "--adapter", fixture.trained, "--output", fixture.out},
          {"layers.1.mlp.gate_proj.lora_A.weight", "no LoRA half"});
  CHECK(fixture.folder.entries() == before);
}
