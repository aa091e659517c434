#include "embedpool/io/saved_embedder.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>

#include "embedpool/io/saved_pooling.hpp"

using namespace embedpool;
using io::Json;

namespace {

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("embedpool_saved_" + std::to_string(getpid()));
  Folder() { std::filesystem::remove_all(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

io::EmbedderConfig example() {
  io::EmbedderConfig config;
  config.model = {"llama", 3, 8, 100};
  config.mask = AnyMask::parse("window:5");
  config.tokens = AnyTokens::parse("last,mean@text@skip:1");
  config.layers = "1,3";
  config.layout = {io::PromptTemplate::parse("\"{text}\" is"), {1}, {2, 99}, 64};
  config.finishing = {4, false};
  config.head = LayerMix{true};
  return config;
}

}  // namespace

TEST_CASE("a saved embedder reads back as it was") {
  const Folder folder;
  io::SavedEmbedder saved{example(), {}, Calibration<float>{}};
  const Index slots = io::SavedEmbedder::slots(saved.config);
  REQUIRE(slots == 4);
  saved.head = saved.config.head.init<float>(8, slots);
  saved.calibration->mean = Matrix<float>::Random(slots, 8);
  saved.calibration->inverse_scale = Matrix<float>::Random(slots, 8).cwiseAbs().array() + 0.5f;
  saved.config.calibration = io::CalibrationConfig{.texts = 12};
  saved.write(folder.path);
  const io::SavedEmbedder read = io::SavedEmbedder::read(folder.path);
  CHECK(io::to_json(read.config) == io::to_json(saved.config));
  CHECK(read.config.mask.to_string() == "window:5");
  CHECK(read.config.layout.appended == std::vector<TokenId>{2, 99});
  CHECK(read.config.head_file == "head.safetensors");
  REQUIRE(read.calibration);
  CHECK(read.calibration->mean == saved.calibration->mean);
  CHECK(read.calibration->inverse_scale == saved.calibration->inverse_scale);
}

TEST_CASE("a head with parameters needs its file, whatever its options say") {
  const Folder folder;
  io::SavedEmbedder saved{example(), {}, {}};
  saved.head = saved.config.head.init<float>(8, io::SavedEmbedder::slots(saved.config));
  saved.write(folder.path);
  const Json good = io::read_json(folder.path / "embedder.json");
  for (const auto& head : {std::pair<std::string, Json>{"layer-mix", Json::object()},
                           {"perceiver", {{"latents", 1 << 24}, {"heads", 1 << 24}}},
                           {"cross-attention", {{"heads", 0}}}}) {
    CAPTURE(head.first);
    Json bad = good;
    bad["head"] = {{"type", head.first}, {"settings", head.second}, {"file", ""}};
    std::ofstream(folder.path / "embedder.json") << bad.dump();
    CHECK_THROWS_WITH_AS(io::SavedEmbedder::read(folder.path), doctest::Contains("head.file"), FileError);
  }
}

TEST_CASE("a prompt that is no text is refused before anything is written") {
  const Folder folder;
  io::SavedEmbedder saved{example(), {}, {}};
  saved.head = saved.config.head.init<float>(8, io::SavedEmbedder::slots(saved.config));
  saved.config.prompts["query"] = "\xff";
  CHECK_THROWS_WITH_AS(saved.write(folder.path), doctest::Contains("embedder.json"), FileError);
  CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("every key of a saved embedder is needed, typed, bounded, and no other is taken") {
  const Json good = io::to_json(example());
  CHECK_NOTHROW(io::embedder_config(good, "e.json"));
  for (const auto& item : good.items()) {
    const std::string key = item.key();
    CAPTURE(key);
    Json without = good;
    without.erase(key);
    CHECK_THROWS_WITH_AS(io::embedder_config(without, "e.json"), doctest::Contains(key.c_str()), FileError);
    Json mistyped = good;
    mistyped[key] = Json::array({Json::array()});
    CHECK_THROWS_WITH_AS(io::embedder_config(mistyped, "e.json"), doctest::Contains(key.c_str()), FileError);
  }
  const auto refused = [&](const char* pointer, const Json& value, const char* named) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    CAPTURE(std::string(pointer));
    CHECK_THROWS_WITH_AS(io::embedder_config(bad, "e.json"), doctest::Contains(named), FileError);
  };
  refused("/embedpool_embedder", 2, "embedpool_embedder");
  refused("/surprise", 1, "surprise");
  refused("/model/surprise", 1, "model.surprise");
  refused("/mask", "window:0", "mask");
  refused("/pooling", "median", "pooling");
  refused("/layers", "4", "layers");
  refused("/template", "no place", "template");
  refused("/appended_ids", Json::array({100}), "appended_ids");
  refused("/prepended_ids", Json::array({-1}), "prepended_ids");
  refused("/max_tokens", -1, "max_tokens");
  refused("/head/type", "crown", "crown");
  refused("/head/file", "../head.safetensors", "head.file");
  refused("/head/settings/surprise", 1, "surprise");
  refused("/calibration", Json{{"file", ""}, {"texts", 5}}, "calibration.file");
  refused("/calibration", Json{{"file", "c.safetensors"}, {"texts", 1}}, "calibration.texts");
}

TEST_CASE("a calibration file of another shape, or with values that cannot be, is refused") {
  const Folder folder;
  std::filesystem::create_directories(folder.path);
  const auto path = folder.path / "c.safetensors";
  Calibration<float> calibration{Matrix<float>::Zero(2, 3), Matrix<float>::Ones(2, 3)};
  io::write_calibration(calibration, path);
  CHECK_NOTHROW(io::read_calibration<float>(path, 2, 3));
  CHECK_THROWS_WITH_AS(io::read_calibration<float>(path, 3, 2), doctest::Contains("mean"), FileError);
  calibration.inverse_scale(1, 1) = 0;
  io::write_calibration(calibration, path);
  CHECK_THROWS_WITH_AS(io::read_calibration<float>(path, 2, 3), doctest::Contains("positive"), FileError);
  calibration.inverse_scale(1, 1) = 1;
  calibration.mean(0, 0) = std::numeric_limits<float>::quiet_NaN();
  io::write_calibration(calibration, path);
  CHECK_THROWS_WITH_AS(io::read_calibration<float>(path, 2, 3), doctest::Contains("finite"), FileError);
}

TEST_CASE("what sentence-transformers saved is read, and what cannot be followed is named") {
  const Folder folder;
  std::filesystem::create_directories(folder.path / "1_Pooling");
  const auto write = [&](const std::string& name, const Json& json) {
    io::AtomicFile file(folder.path / name);
    file.write(json.dump());
    file.commit();
  };
  CHECK(!io::sentence_transformers_pooling(folder.path).tokens);
  const auto module = [](const char* type, const char* path) {
    return Json{{"type", std::string("sentence_transformers.models.") + type}, {"path", path}};
  };
  write("modules.json", Json::array({module("Transformer", ""), module("Pooling", "1_Pooling"), module("Normalize", "2")}));
  write("sentence_bert_config.json", {{"max_seq_length", 128}});
  write("1_Pooling/config.json", {{"pooling_mode_max_tokens", true}, {"include_prompt", false}});
  const io::SavedPooling saved = io::sentence_transformers_pooling(folder.path);
  CHECK(saved.tokens->to_string() == "max@after-prompt");
  CHECK(saved.normalized == true);
  CHECK(saved.max_tokens == 128);
  CHECK(saved.unsupported == "");
  write("1_Pooling/config.json", {{"pooling_mode", "lasttoken"}});
  CHECK(io::sentence_transformers_pooling(folder.path).tokens->to_string() == "last");
  write("1_Pooling/config.json", {{"pooling_mode", "crown"}});
  CHECK_THROWS_WITH_AS(io::sentence_transformers_pooling(folder.path), doctest::Contains("config.json"), FileError);
  write("modules.json", Json::array({module("Pooling", "../elsewhere")}));
  CHECK_THROWS_WITH_AS(io::sentence_transformers_pooling(folder.path), doctest::Contains("path"), FileError);
  write("modules.json", Json::array({module("Transformer", ""), module("Dense", "3_Dense")}));
  CHECK(io::sentence_transformers_pooling(folder.path).unsupported.find("Dense") != std::string::npos);
}
