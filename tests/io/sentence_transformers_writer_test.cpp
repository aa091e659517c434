// What is written for sentence-transformers reads back as what was meant, and what cannot be said is named.
#include "embedpool/io/sentence_transformers_writer.hpp"

#include <doctest/doctest.h>

#include "embedpool/io/saved_pooling.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;

namespace {

io::EmbedderConfig config_of(const std::string& pooling) {
  io::EmbedderConfig config;
  config.model = {"llama", 4, 16, 100};
  config.tokens = AnyTokens::parse(pooling);
  config.finishing.normalize = true;
  return config;
}

}  // namespace

TEST_CASE("pooling, normalisation, prompts and the longest text read back as they were") {
  for (const std::string pooling : {"last", "first", "mean", "weighted-mean", "max", "mean-sqrt"})
    for (const bool normalize : {false, true}) {
      CAPTURE(pooling);
      io::EmbedderConfig config = config_of(pooling);
      config.finishing.normalize = normalize;
      config.layout.max_tokens = 77;
      config.layout.prompt = io::PromptTemplate::prompt("Text: ");
      config.prompts = {{"squad", "Find the passage. "}};
      REQUIRE(io::sentence_transformers_obstacle(config, {}, {}, {}).empty());
      const test::TemporaryFolder folder;
      io::write_sentence_transformers(config, folder / "");
      const io::SavedPooling saved = io::sentence_transformers_pooling(folder / "");
      REQUIRE(saved.tokens);
      CHECK(saved.tokens->to_string() == pooling);
      CHECK(saved.normalized == normalize);
      CHECK(saved.max_tokens == 77);
      CHECK(saved.unsupported.empty());
      CHECK(saved.prompts.default_prompt() == "Text: ");
      CHECK(saved.prompts.by_name.at("squad") == "Find the passage. Text: ");
    }
  io::EmbedderConfig bare = config_of("mean");
  const test::TemporaryFolder folder;
  io::write_sentence_transformers(bare, folder / "");
  const io::SavedPooling saved = io::sentence_transformers_pooling(folder / "");
  CHECK_FALSE(saved.prompts.default_name);
  CHECK_FALSE(saved.max_tokens);
}

TEST_CASE("what keeps sentence-transformers from the same embeddings is named") {
  const auto obstacle = [](auto change, const std::string& culprit) {
    io::EmbedderConfig config = config_of("last");
    config.layout.appended = {2};
    REQUIRE(io::sentence_transformers_obstacle(config, {}, {}, {2}).empty());
    change(config);
    CHECK(io::sentence_transformers_obstacle(config, {}, {}, {2}).find(culprit) != std::string::npos);
  };
  obstacle([](auto& c) { c.mask = AnyMask::parse("bidirectional"); }, "bidirectional");
  io::EmbedderConfig bidirectional = config_of("last");  // of a model that says it is
  bidirectional.mask = AnyMask::parse("bidirectional");
  CHECK(io::sentence_transformers_obstacle(bidirectional, bidirectional.mask, {}, {}).empty());
  CHECK(io::sentence_transformers_obstacle(config_of("last"), bidirectional.mask, {}, {}).find("causal") != std::string::npos);
  obstacle([](auto& c) { c.layers = "1,3"; }, "1,3");
  for (const std::string pooling : {"last,mean", "mean@text", "mean@skip:1", "unit-mean", "all",
                                    "weighted-mean@after-prompt"})
    obstacle([&](auto& c) { c.tokens = AnyTokens::parse(pooling); }, pooling);
  obstacle([](auto& c) { c.head = AnyHead::named("layer-mix"); }, "layer-mix");
  obstacle([](auto& c) { c.calibration.emplace(); }, "calibration");
  obstacle([](auto& c) { c.finishing.dimensions = 8; }, "dimensions");
  obstacle([](auto& c) { c.layout.prompt = io::PromptTemplate::parse("\"{text}\" means: "); }, "means: ");
  obstacle([](auto& c) { c.layout.appended = {}; }, "tokenizer");
  obstacle([](auto& c) { c.layout.prepended = {1}; }, "tokenizer");
}
