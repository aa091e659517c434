// Corrupt and hostile tokenizer files end in one FileError that names file and place; nothing else.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "embedpool/io/tokenizer/tokenizer_description.hpp"
#include "io/tokenizer/gguf_metadata.hpp"
#include "support/golden.hpp"

using embedpool::FileError;
using embedpool::io::TextError;
using embedpool::io::Tokenizer;
using embedpool::testing::GgufMetadata;
namespace fs = std::filesystem;

namespace {
/// A tokenizer.json around one part that is to be refused.
std::string json_with(const std::string& part, const std::string& model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":[["a","b"]]})") {
  return "{" + part + (part.empty() ? "" : ",") + "\"model\":" + model + "}";
}
void refused(const std::string& json, const std::string& place) {
  CAPTURE(json);
  try {
    Tokenizer::from_json(json, "hostile.json");
    FAIL_CHECK("was accepted");
  } catch (const FileError& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(message.find("hostile.json") == 0);
    CHECK(message.find(place) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}
std::string contents(const fs::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}
/// Reads and, when that works, uses a tokenizer; only the errors that are promised may come out.
template <class Read>
bool survives(Read read) {
  try {
    const Tokenizer t = read();
    const auto ids = t.encode_with_special("Hello <s>[SEP]<|endoftext|> w\u00F6rld 123 \u4E2D\u6587").ids;
    t.decode(ids);
    description_of(t);
    return true;
  } catch (const FileError&) {
  } catch (const TextError&) {
  }
  return false;
}
}  // namespace

TEST_CASE("components that are not known are refused by name and place") {
  CHECK_NOTHROW(Tokenizer::from_json(json_with("")));
  refused(json_with(R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Magic"}]})"),
          "normalizer.normalizers[1].type: normalizer Magic is not supported");
  refused(json_with(R"("pre_tokenizer":{"type":"Magic"})"), "pre_tokenizer.type: pre-tokenizer Magic");
  refused(json_with(R"("post_processor":{"type":"Magic"})"), "post_processor.type: post-processor Magic");
  refused(json_with(R"("decoder":{"type":"CTC"})"), "decoder.type: decoder CTC");
  refused(json_with("", R"({"type":"Magic","vocab":{}})"), "model.type: model Magic");
  refused(json_with(R"("pre_tokenizer":{"type":"Split","pattern":{"String":"a"},"behavior":"Odd"})"), "behavior");
  refused(json_with(R"("pre_tokenizer":{"type":"Metaspace","prepend_scheme":"odd"})"), "prepend_scheme");
}

TEST_CASE("wrong values are refused by place") {
  refused("", "");
  refused("[]", "object");
  refused("{}", "model");
  refused(R"({"model":7})", "model");
  refused(json_with(R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"})"), "pattern");
  refused(json_with(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"!!"})"), "charsmap");
  refused(json_with(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="})"), "charsmap");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":0},"merges":["a b"]})"), "merges[0]");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":0,"b":1},"merges":[["a","b"]]})"), "\"ab\"");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":0},"merges":["a"]})"), "merges[0]");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":0},"merges":[7]})"), "merges[0]");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":0,"b":0},"merges":[]})"), "model.vocab");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":-1},"merges":[]})"), "model.vocab");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":2147483647},"merges":[]})"), "out of range");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":1e300},"merges":[]})"), "model.vocab");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1})"), "dropout");
  refused(json_with("", R"({"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"b"})"), "unk_token");
  refused(json_with("", R"({"type":"Unigram","vocab":[["a",0]],"unk_id":1})"), "unk_id");
  refused(json_with("", R"({"type":"Unigram","vocab":[["a",0],["a",1]]})"), "vocab[1]");
  refused(json_with("", R"({"type":"Unigram","vocab":[["a"]]})"), "vocab[0]");
  refused(json_with("", R"({"type":"Unigram","vocab":[]})"), "vocab");
  refused(json_with("", R"({"type":"WordPiece","vocab":{"a":0},"unk_token":"x"})"), "unk_token");
  refused(json_with(R"("added_tokens":[{"id":1,"content":"a"}])"), "added_tokens[0].id");
  refused(json_with(R"("added_tokens":[{"id":1,"content":"z"}])"), "added_tokens[0].id");
  refused(json_with(R"("added_tokens":[{"id":2000000000,"content":"z"}])"), "added_tokens[0].id");
  refused(json_with(R"("added_tokens":[{"id":5,"content":"z"},{"id":6,"content":"z"}])"), "added_tokens[1].content");
  refused(json_with(R"("post_processor":{"type":"BertProcessing","sep":["x",99],"cls":["a",0]})"), "post_processor");
  refused(json_with(R"("post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"C"}}],"pair":[],"special_tokens":{}})"), "single[0]");
  refused(json_with(R"("post_processor":{"type":"TemplateProcessing","single":[],"pair":[],"special_tokens":{}})"), "single");
  refused(json_with(R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],"pair":[],"special_tokens":{"x":{"ids":[99]}}})"), "ids");
}

TEST_CASE("deep nesting is refused") {
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += R"({"type":"Sequence","normalizers":[)";
  refused("{\"normalizer\":" + deep, "nested too deeply");
}

TEST_CASE("truncated and damaged tokenizer files end in an error or in a tokenizer that works") {
  std::mt19937 random(3);
  int files = 0, errors = 0;
  for (const auto& entry : fs::directory_iterator(embedpool::test::golden_directory() / "tokenizers")) {
    const std::string name = entry.path().filename().string();
    const bool json = name.ends_with(".tokenizer.json"), gguf = name.ends_with(".gguf");
    if (!json && !gguf) continue;
    ++files;
    CAPTURE(name);
    const std::string whole = contents(entry.path());
    const auto read = [&](const std::string& bytes) {
      return survives([&] { return json ? Tokenizer::from_json(bytes, name) : Tokenizer::from_gguf(GgufMetadata::read(bytes)); });
    };
    CHECK(read(whole));
    // A JSON document ends with its last brace; a GGUF file without tensors may be padded after its metadata.
    for (int i = 0; i < 60; ++i) CHECK_FALSE(read(whole.substr(0, random() % (whole.size() - 64))));
    for (int i = 0; i < 300; ++i) {
      std::string damaged = whole;
      for (int k = 0; k < 1 + i % 4; ++k) damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      errors += read(damaged) ? 0 : 1;
    }
  }
  CHECK(files > 0);
  CHECK(errors > 0);
}

TEST_CASE("GGUF metadata that does not fit together is refused by key") {
  const auto good = [] {
    GgufMetadata file;
    file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "gpt-2");
    return file;
  };
  const auto tokens = [](GgufMetadata file) { return file.texts("tokenizer.ggml.tokens", {"a", "b", "ab"}); };
  const auto merges = [](GgufMetadata file, const std::string& merge) { return file.texts("tokenizer.ggml.merges", {merge}); };
  const auto refused_at = [](const GgufMetadata& file, const std::string& place) {
    const std::string bytes = file.bytes();
    CAPTURE(place);
    try {
      Tokenizer::from_gguf(GgufMetadata::read(bytes));
      FAIL_CHECK("was accepted");
    } catch (const FileError& error) {
      const std::string message = error.what();
      CAPTURE(message);
      CHECK(message.find("memory.gguf: " + place) == 0);
    }
  };
  refused_at(GgufMetadata{}, "tokenizer.ggml.model");
  refused_at(GgufMetadata{}.text("tokenizer.ggml.model", "magic"), "tokenizer.ggml.model: \"magic\"");
  refused_at(good(), "tokenizer.ggml.tokens");
  refused_at(tokens(good()), "tokenizer.ggml.merges");
  refused_at(merges(tokens(good()), "a"), "tokenizer.ggml.merges: merge 0");
  refused_at(merges(tokens(good()), "a "), "tokenizer.ggml.merges: merge 0");
  refused_at(merges(tokens(good()), ""), "tokenizer.ggml.merges: merge 0");
  refused_at(merges(tokens(good()), "a z"), "tokenizer.ggml.merges: merge 0");
  refused_at(merges(tokens(good()), "b a"), "tokenizer.ggml.merges: merge 0");
  const auto sound = [&] { return merges(tokens(good()), "a b"); };
  refused_at(sound().integers("tokenizer.ggml.token_type", {1, 1}), "tokenizer.ggml.token_type");
  refused_at(sound().integers("tokenizer.ggml.token_type", {1, 1, 77}), "tokenizer.ggml.token_type");
  refused_at(sound().natural("tokenizer.ggml.bos_token_id", 3), "tokenizer.ggml.bos_token_id");
  refused_at(sound().flag("tokenizer.ggml.add_eos_token", true), "tokenizer.ggml.add_eos_token");
  refused_at(good().texts("tokenizer.ggml.tokens", {"a", "a"}), "tokenizer.ggml.tokens");
  refused_at(good().texts("tokenizer.ggml.tokens", {"\xFF"}), "tokenizer.ggml.tokens");
  refused_at(good().texts("tokenizer.ggml.tokens", {}), "tokenizer.ggml.tokens");
  GgufMetadata strange;
  strange.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "magic");
  refused_at(tokens(strange), "tokenizer.ggml.pre: \"magic\"");
  GgufMetadata scores;
  scores.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", {"<unk>", "a"});
  refused_at(scores, "tokenizer.ggml.scores");
  refused_at(GgufMetadata(scores).floats("tokenizer.ggml.scores", {0}), "tokenizer.ggml.scores");
  refused_at(GgufMetadata(scores).floats("tokenizer.ggml.scores", {0, NAN}), "tokenizer.ggml.scores");
  refused_at(GgufMetadata(scores).floats("tokenizer.ggml.scores", {0, 1}), "tokenizer.ggml.unknown_token_id");
}
