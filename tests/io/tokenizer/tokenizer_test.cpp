// The whole tokenizer: what callers see of it.
#include "embedpool/io/tokenizer/tokenizer_description.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "io/tokenizer/gguf_metadata.hpp"

using embedpool::Index;
using embedpool::ShapeError;
using embedpool::TokenId;
using embedpool::io::TextError;
using embedpool::io::Tokenizer;
using Ids = std::vector<TokenId>;

namespace {
constexpr const char* small_json = R"({
  "added_tokens": [{"id": 0, "content": "<s>", "special": true, "normalized": false},
                   {"id": 9, "content": "<x>", "special": false, "normalized": false}],
  "normalizer": {"type": "Lowercase"},
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "post_processor": {"type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
             {"SpecialToken": {"id": "<s>", "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
  "decoder": {"type": "ByteLevel"},
  "truncation": {"max_length": 128, "strategy": "LongestFirst", "stride": 0},
  "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "b": 2, "ab": 3, "\u0120": 4, "<": 5, "s": 6, ">": 7, "\u00c3": 8},
            "merges": ["a b"]}})";

embedpool::testing::GgufMetadata byte_level_gguf(const std::string& pre) {
  embedpool::testing::GgufMetadata file;
  file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
  file.texts("tokenizer.ggml.tokens", {"<s>", "a", "b", "ab", "\u0120", "1", "2", "12", "<u>"});
  file.texts("tokenizer.ggml.merges", {"a b", "1 2"});
  file.integers("tokenizer.ggml.token_type", {3, 1, 1, 1, 1, 1, 1, 1, 4});
  return file.natural("tokenizer.ggml.bos_token_id", 0);
}
Tokenizer from(const embedpool::testing::GgufMetadata& file) {
  const std::string bytes = file.bytes();
  return Tokenizer::from_gguf(embedpool::testing::GgufMetadata::read(bytes));
}
}  // namespace

TEST_CASE("encode adds nothing, encode_with_special what the file asks for") {
  const auto t = Tokenizer::from_json(small_json);
  CHECK(t.encode("AB b") == Ids{3, 4, 2});
  CHECK(t.encode("").empty());
  const auto special = t.encode_with_special("ab");
  CHECK(special.ids == Ids{0, 3});
  CHECK(special.type_ids == std::vector<std::int32_t>{0, 0});
  const auto pair = t.encode_pair("ab", "b");
  CHECK(pair.ids == Ids{0, 3, 0, 2});
  CHECK(pair.type_ids == std::vector<std::int32_t>{0, 0, 1, 1});
  CHECK(t.prefix_ids() == Ids{0});
  CHECK(t.suffix_ids().empty());
  CHECK(t.max_length() == Index(128));  // reported, not applied
}

TEST_CASE("special tokens in text that is not trusted stay text") {
  const auto t = Tokenizer::from_json(small_json);
  CHECK(t.encode("a<s>b") == Ids{1, 0, 2});
  CHECK(t.encode("a<s>b", false) == Ids{1, 5, 6, 7, 2});
  CHECK(t.encode("a<x>b", false) == Ids{1, 9, 2});  // an added token that is not special
}

TEST_CASE("truncation keeps the special tokens and refuses lengths without room for them") {
  const auto t = Tokenizer::from_json(small_json);
  CHECK(t.encode_with_special("a b a", 3).ids == Ids{0, 1, 4});
  CHECK(t.encode_with_special("a b a", 1).ids == Ids{0});
  CHECK_THROWS_AS(t.encode_with_special("a", 0), ShapeError);
  CHECK(t.encode_pair("a b a", "b", 5).ids == Ids{0, 1, 4, 0, 2});
  CHECK_THROWS_AS(t.encode_pair("a", "b", 1), ShapeError);
}

TEST_CASE("tokens are found by id and by name") {
  const auto t = Tokenizer::from_json(small_json);
  CHECK(t.size() == 10);
  CHECK(t.id_of("ab") == 3);
  CHECK(t.id_of("<x>") == 9);
  CHECK_FALSE(t.id_of("zz").has_value());
  CHECK(t.token(9) == "<x>");
  CHECK(t.is_token(8));
  CHECK_FALSE(t.is_token(10));
  CHECK_FALSE(t.is_token(-1));
  CHECK(t.is_special(0));
  CHECK_FALSE(t.is_special(9));
  CHECK_THROWS_AS(t.token(10), ShapeError);
  CHECK_THROWS_AS(t.token(-1), ShapeError);
}

TEST_CASE("decoding gives text back, without special tokens when asked") {
  const auto t = Tokenizer::from_json(small_json);
  CHECK(t.decode(Ids{0, 3, 4, 2}) == "<s>ab b");
  CHECK(t.decode(Ids{0, 3, 4, 2}, true) == "ab b");
  CHECK(t.decode(Ids{8}) == "\uFFFD");  // half a character
  CHECK(t.decode(Ids{}).empty());
  CHECK_THROWS_AS(t.decode(Ids{77}), ShapeError);
}

TEST_CASE("invalid UTF-8 is refused with its position") {
  const auto t = Tokenizer::from_json(small_json);
  CHECK_THROWS_WITH_AS(t.encode("ab\xC3"), "text: invalid UTF-8 at byte 2", TextError);
  CHECK_THROWS_AS(t.encode_pair("a", "\xFF"), TextError);
  CHECK(t.encode("ab") == Ids{3});  // and the tokenizer is as good as before
}

TEST_CASE("threads share a tokenizer") {
  const auto t = Tokenizer::from_json(small_json);
  std::string text;
  for (int i = 0; i < 500; ++i) text += i % 3 ? "ab b " : "a<s>aab ";
  const Ids expected = t.encode(text);
  std::vector<Ids> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) result = t.encode(text);
    });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) CHECK(result == expected);
}

TEST_CASE("two tokenizers in one thread never see each other's words") {
  const auto first = Tokenizer::from_json(small_json);
  std::string other_json = small_json;
  other_json.replace(other_json.find("\"a b\""), 5, "");
  const auto second = Tokenizer::from_json(other_json);
  for (int i = 0; i < 3; ++i) {
    CHECK(first.encode("ab") == Ids{3});
    CHECK(second.encode("ab") == Ids{1, 2});
  }
}

TEST_CASE("very long texts without a break are encoded whole") {
  const auto t = Tokenizer::from_json(small_json);
  CHECK(t.encode(std::string(300000, 'a')).size() == 300000);
  CHECK(t.encode(std::string(300000, ' ') + "a").size() == 300001);
  std::string abab;
  for (int i = 0; i < 200000; ++i) abab += "ab";
  CHECK(t.encode(abab) == Ids(200000, 3));
}

TEST_CASE("GGUF patterns cut digits as their models do") {
  CHECK(from(byte_level_gguf("gpt-2")).encode("12 ab") == Ids{7, 4, 3});
  CHECK(from(byte_level_gguf("smollm")).encode("12 ab") == Ids{5, 6, 4, 3});
  CHECK(from(byte_level_gguf("qwen2")).encode("12 ab") == Ids{5, 6, 4, 3});
  CHECK(from(byte_level_gguf("llama-bpe")).encode("121212") == Ids{7, 5, 6, 7});  // cut after three digits
}

TEST_CASE("bytes without a token are left out of a byte-level GGUF tokenizer, whatever it calls its unknown token") {
  const auto t = from(byte_level_gguf("gpt-2").natural("tokenizer.ggml.unknown_token_id", 0));
  CHECK(t.unknown() == 0);
  CHECK(t.encode("a\x04").size() == 1);
  CHECK(t.encode("\x04").empty());
  CHECK(t.encode("a\x04" "b") == Ids{1, 2});
}

TEST_CASE("a GGUF file says which tokens are added, and its pre-tokenizer what holds when it does not") {
  CHECK_FALSE(from(byte_level_gguf("gpt-2")).add_bos());
  CHECK(from(byte_level_gguf("llama-bpe")).add_bos());
  CHECK(from(byte_level_gguf("gpt-2").flag("tokenizer.ggml.add_bos_token", true)).encode_with_special("a").ids == Ids{0, 1});
  const auto eos = from(byte_level_gguf("gpt-2").natural("tokenizer.ggml.eos_token_id", 0).flag("tokenizer.ggml.add_eos_token", true));
  CHECK(eos.add_eos());
  CHECK(eos.encode_with_special("a").ids == Ids{1, 0});
  CHECK(eos.bos() == 0);
  CHECK(eos.encode("a<u><s>", false).front() == 1);
  CHECK(eos.encode("<u>", false) == Ids{8});
}

TEST_CASE("SentencePiece GGUF files put a space before every stretch of text") {
  embedpool::testing::GgufMetadata file;
  const std::string u = "\u2581";
  file.text("tokenizer.ggml.model", "llama");
  file.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "<0xC3>", "<0xA9>", u, "a", u + "a", "b", u + u});
  file.floats("tokenizer.ggml.scores", {0, 0, 0, 0, -5, -6, -1, -7, -2});
  file.integers("tokenizer.ggml.token_type", {2, 3, 6, 6, 1, 1, 1, 1, 1});
  file.natural("tokenizer.ggml.bos_token_id", 1).natural("tokenizer.ggml.unknown_token_id", 0);
  const auto t = from(file);
  CHECK(t.encode("a") == Ids{6});
  CHECK(t.encode(" a") == Ids{4, 6});
  CHECK(t.encode("a<s>b") == Ids{6, 1, 4, 7});
  CHECK(t.encode("\u00E9z") == Ids{4, 2, 3, 0});
  CHECK(t.add_bos());
  CHECK(t.decode(t.encode("a \u00E9 b")) == "a \u00E9 b");
  auto bare = file;
  bare.flag("tokenizer.ggml.add_space_prefix", false).flag("tokenizer.ggml.add_bos_token", false);
  CHECK(from(bare).encode_with_special("a").ids == Ids{5});
}

TEST_CASE("a directory names its BOS and EOS; a name that is no token is refused, but for padding") {
  const auto folder = std::filesystem::temp_directory_path() / "embedpool_tokenizer_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "tokenizer.json") << small_json;
  std::ofstream(folder / "tokenizer_config.json") << R"({"bos_token": {"content": "<s>"}, "eos_token": "<x>", "pad_token": "<pad>"})";
  const auto t = Tokenizer::open(folder);
  CHECK(t.bos() == 0);
  CHECK(t.eos() == 9);
  CHECK_FALSE(t.pad().has_value());
  CHECK(t.add_bos());
  CHECK(description_of(t).size() > 5);
  std::ofstream(folder / "tokenizer_config.json") << R"({"bos_token": "nothing"})";
  CHECK_THROWS_AS(Tokenizer::open(folder), embedpool::FileError);
  std::filesystem::remove_all(folder);
}
