#include "embedpool/io/sentence_transformers.hpp"

#include <doctest/doctest.h>

#include "embedpool/io/saved_pooling.hpp"
#include "io/damaged_files.hpp"
#include "io/temporary_folder.hpp"

using namespace embedpool;
using io::Json;

namespace {

std::string readers(const Json& config) {
  return io::sentence_transformers_readers(io::JsonObject(config, "1_Pooling/config.json")).to_string();
}

Json modules(const std::vector<std::pair<std::string, std::string>>& steps) {
  Json list = Json::array();
  for (const auto& [kind, folder] : steps)
    list.push_back({{"idx", list.size()}, {"path", folder}, {"type", "sentence_transformers.models." + kind}});
  return list;
}

/// A GGUF file of one architecture and, where it is not negative, a pooling type.
std::string gguf_with_pooling(int type) {
  std::string bytes = "GGUF";
  const auto add = [&]<class T>(T value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof(T)); };
  const auto text = [&](const std::string& value) { add(std::uint64_t(value.size())), bytes += value; };
  add(std::uint32_t(3)), add(std::uint64_t(0)), add(std::uint64_t(type < 0 ? 1 : 2));
  text("general.architecture"), add(std::uint32_t(8)), text("llama");
  if (type >= 0) text("llama.pooling_type"), add(std::uint32_t(4)), add(static_cast<std::uint32_t>(type));
  return bytes;
}

io::SavedPooling gguf_pooling(int type) {
  const std::string bytes = gguf_with_pooling(type);
  return io::gguf_pooling(io::GgufFile(std::as_bytes(std::span(bytes.data(), bytes.size())), "m.gguf"));
}

}  // namespace

TEST_CASE("every pooling flag and every pooling name asks for its reader") {
  const std::tuple<const char*, const char*, const char*> modes[] = {
      {"pooling_mode_cls_token", "cls", "first"},
      {"pooling_mode_max_tokens", "max", "max"},
      {"pooling_mode_mean_tokens", "mean", "mean"},
      {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", "mean-sqrt"},
      {"pooling_mode_weightedmean_tokens", "weightedmean", "weighted-mean"},
      {"pooling_mode_lasttoken", "lasttoken", "last"}};
  for (const auto& [flag, name, reader] : modes) {
    Json flags = {{"word_embedding_dimension", 8}};
    for (const auto& [other, unused, none] : modes) flags[other] = other == flag;
    CHECK(readers(flags) == reader);
    CHECK(readers({{"pooling_mode", name}}) == reader);
    CHECK(readers({{"pooling_mode", Json::array({name})}}) == reader);
    CHECK(readers({{"pooling_mode", name}, {"include_prompt", false}}) == std::string(reader) + "@after-prompt");
  }
}

TEST_CASE("several flags are joined in the order of the library that saves them, a list of names in its own") {
  CHECK(readers({{"pooling_mode_lasttoken", true}, {"pooling_mode_mean_tokens", true}, {"pooling_mode_cls_token", true}}) == "first,mean,last");
  CHECK(readers({{"pooling_mode", {"lasttoken", "mean"}}}) == "last,mean");
  CHECK(readers({{"pooling_mode", "max"}, {"pooling_mode_cls_token", true}}) == "max");  // the newer key counts
}

TEST_CASE("a pooling configuration without a mode is the mean, as in the library that saves it") {
  CHECK(readers({{"embedding_dimension", 8}}) == "mean");
  CHECK(readers({{"pooling_mode_mean_tokens", false}, {"pooling_mode_cls_token", false}}) == "mean");
}

TEST_CASE("pooling configurations of an unknown mode are refused with file, key and value") {
  const auto refused = [](const Json& config, const char* cause) {
    CAPTURE(config.dump());
    CHECK_THROWS_WITH_AS(readers(config), doctest::Contains(cause), FileError);
    CHECK_THROWS_WITH_AS(readers(config), doctest::Contains("1_Pooling/config.json"), FileError);
  };
  refused({{"pooling_mode", "median"}}, "median");
  refused({{"pooling_mode", "median"}, {"pooling_mode_cls_token", true}}, "median");  // no falling back
  refused({{"pooling_mode", {"mean", 3}}}, "3");
  refused({{"pooling_mode", Json::array()}}, "names no pooling");
  refused({{"pooling_mode", Json(std::vector<std::string>(7, "mean"))}}, "names 7 poolings");
  refused({{"pooling_mode", 1}}, "names no pooling");
  refused({{"pooling_mode_mean_tokens", 1}}, "true or false");
  refused({{"pooling_mode", "mean"}, {"include_prompt", "no"}}, "include_prompt");
  refused(Json::array(), "JSON object");
}

TEST_CASE("modules are listed with their folders, and no folder leads out of the model's") {
  const auto list = io::sentence_transformers_modules(modules({{"Transformer", ""}, {"Pooling", "1_Pooling"}}), "modules.json");
  REQUIRE(list.size() == 2);
  CHECK(list[1].kind == "Pooling");
  CHECK(list[1].folder == "1_Pooling");
  const auto spelled = io::sentence_transformers_modules(modules({{"Transformer", "."}, {"Pooling", "./a/1_Pooling"}}), "modules.json");
  CHECK(spelled[0].folder.empty());
  CHECK(spelled[1].folder == "a/1_Pooling");
  CHECK(io::sentence_transformers_modules(Json::array({{{"type", "own.pooling.Pooling"}}}), "modules.json").front().kind == "Pooling");
  const auto refused = [](const Json& json, const char* cause) {
    CHECK_THROWS_WITH_AS(io::sentence_transformers_modules(json, "modules.json"), doctest::Contains(cause), FileError);
  };
  for (const char* folder : {"../other", "/etc", "a/../../b", ".."}) refused(modules({{"Pooling", folder}}), "must lie in the model's folder");
  refused(Json::object(), "array of modules");
  refused(Json::array(), "array of modules");
  refused(Json::array({1}), "modules.json: 0: must be a JSON object");
  refused(Json::array({{{"path", ""}}}), "modules.json: 0.type: missing");
}

TEST_CASE("prompts are read by name, and the default is one of them") {
  const auto read = [](const Json& json) { return io::sentence_transformers_prompts(io::JsonObject(json, "config_sentence_transformers.json")); };
  const auto prompts = read({{"prompts", {{"query", "Query: "}, {"document", ""}, {"none", nullptr}}},
                             {"default_prompt_name", "query"}, {"similarity_fn_name", "cosine"}});
  CHECK(prompts.by_name == std::map<std::string, std::string>{{"query", "Query: "}, {"document", ""}});
  CHECK(prompts.default_prompt() == "Query: ");
  CHECK(prompts.similarity == "cosine");
  CHECK(read({{"prompts", nullptr}, {"default_prompt_name", nullptr}}).default_prompt() == "");
  CHECK_THROWS_WITH_AS(read({{"prompts", {{"a", ""}}}, {"default_prompt_name", "b"}}), doctest::Contains("default_prompt_name: 'b'"), FileError);
  CHECK_THROWS_WITH_AS(read({{"prompts", {{"a", 1}}}}), doctest::Contains("prompts.a"), FileError);
  CHECK_THROWS_WITH_AS(read({{"prompts", {1}}}), doctest::Contains("prompts: must be a JSON object"), FileError);
}

TEST_CASE("a directory gives what its modules, limits and prompts say, and names what cannot be followed") {
  const test::TemporaryFolder folder;
  CHECK(!io::sentence_transformers_pooling(folder / "").tokens);
  folder.write("modules.json", modules({{"Transformer", "0_Transformer"}, {"Pooling", "1_Pooling"}, {"Dropout", "2"}, {"Normalize", "3"}}).dump());
  folder.write("0_Transformer/sentence_roberta_config.json", R"({"max_seq_length": 77, "do_lower_case": false})");
  folder.write("1_Pooling/config.json", R"({"pooling_mode": ["mean", "max"]})");
  folder.write("config_sentence_transformers.json", R"({"prompts": {"q": "find: "}, "default_prompt_name": "q"})");
  const io::SavedPooling saved = io::sentence_transformers_pooling(folder / "");
  CHECK(saved.tokens->to_string() == "mean,max");
  CHECK(saved.concatenated);
  CHECK(saved.normalized == true);
  CHECK(saved.max_tokens == 77);
  CHECK(saved.prompts.default_prompt() == "find: ");
  CHECK(saved.unsupported == "");
  folder.write("0_Transformer/sentence_bert_config.json", R"({"do_lower_case": true})");
  CHECK(io::sentence_transformers_pooling(folder / "").unsupported.find("do_lower_case") != std::string::npos);
  folder.write("modules.json", modules({{"Transformer", ""}, {"Pooling", "1_Pooling"}, {"Dense", "2_Dense"}}).dump());
  folder.write("2_Dense/config.json", R"({"in_features": 768, "out_features": 512, "bias": true})");
  const std::string dense = io::sentence_transformers_pooling(folder / "").unsupported;
  CHECK(dense.find("Dense (768 to 512 values)") != std::string::npos);
  folder.write("modules.json", modules({{"Pooling", "1_Pooling"}, {"Pooling", "1_Pooling"}}).dump());
  CHECK(io::sentence_transformers_pooling(folder / "").unsupported.find("Pooling") != std::string::npos);
}

TEST_CASE("damaged configurations are read or refused, never anything else") {
  const test::TemporaryFolder folder;
  const std::map<std::string, std::string> files = {
      {"modules.json", modules({{"Transformer", ""}, {"Pooling", "1_Pooling"}, {"Dense", "2_Dense"}}).dump()},
      {"1_Pooling/config.json", R"({"pooling_mode": ["mean", "max"], "include_prompt": false})"},
      {"2_Dense/config.json", R"({"in_features": 8, "out_features": 4})"},
      {"sentence_bert_config.json", R"({"max_seq_length": 77, "do_lower_case": false})"},
      {"config_sentence_transformers.json", R"({"prompts": {"q": "find: "}, "default_prompt_name": "q"})"}};
  for (const auto& [name, text] : files) folder.write(name, text);
  for (const auto& file : files) {
    const std::string &name = file.first, &text = file.second;
    CAPTURE(name);
    test::check_damaged_files(text, text.size(), "json", [&](std::span<const std::byte> bytes) {
      folder.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      io::sentence_transformers_pooling(folder / "");
    });
    folder.write(name, text);
  }
}

TEST_CASE("the pooling type of a GGUF file asks for its reader; none and absence ask for nothing") {
  CHECK(!gguf_pooling(-1).tokens);
  CHECK(!gguf_pooling(0).tokens);
  CHECK(gguf_pooling(1).tokens->to_string() == "mean");
  CHECK(gguf_pooling(2).tokens->to_string() == "first");
  CHECK(gguf_pooling(3).tokens->to_string() == "last");
  CHECK(gguf_pooling(4).unsupported.find("reranking") != std::string::npos);
  CHECK_THROWS_WITH_AS(gguf_pooling(5), doctest::Contains("m.gguf: llama.pooling_type"), FileError);
}
