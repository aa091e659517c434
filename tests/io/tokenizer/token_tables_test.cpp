// The small tables that tokenizers look things up in.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>

#include "embedpool/io/tokenizer/byte_alphabet.hpp"
#include "embedpool/io/tokenizer/byte_trie.hpp"
#include "embedpool/io/tokenizer/flat_map.hpp"
#include "embedpool/io/tokenizer/gguf_patterns.hpp"
#include "embedpool/io/tokenizer/json_node.hpp"
#include "embedpool/io/tokenizer/scratch.hpp"
#include "embedpool/io/tokenizer/string_table.hpp"
#include "embedpool/io/tokenizer/text_error.hpp"

using namespace embedpool;
using namespace embedpool::io::tokenizing;

TEST_CASE("a flat map holds what a map holds, through every growth") {
  std::mt19937_64 random(1);
  FlatMap flat;
  std::map<std::uint64_t, std::uint64_t> map;
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t key = i % 3 == 0 ? random() % 1000 : random() >> 1, value = random() >> 1;
    CHECK(flat.insert(key, value) == map.emplace(key, value).second);
  }
  flat.assign(map.begin()->first, 7);
  map.begin()->second = 7;
  CHECK(flat.size() == map.size());
  for (const auto& [key, value] : map) CHECK(flat.find(key) == value);
  for (std::uint64_t key = 0; key < 1000; ++key) CHECK((flat.find(key) == FlatMap::absent) == !map.contains(key));
}

TEST_CASE("a table of strings holds what a map holds, through every growth") {
  std::mt19937 random(2);
  StringTable table;  // of a few slots: it must grow several times
  std::map<std::string, std::uint32_t> map;
  for (std::uint32_t i = 0; i < 3000; ++i) {
    std::string text(random() % 20, 'a');  // shorter and longer than the 8 bytes that are hashed at once, and empty
    for (char& c : text) c = static_cast<char>(random() % 4);
    CHECK(table.insert(text, i) == map.emplace(text, i).second);  // the first value stays
  }
  CHECK(table.size() == map.size());
  for (const auto& [text, value] : map) {
    CHECK(table.find(text) == value);
    CHECK(table.find(text + "b") == StringTable::none);
  }
}

TEST_CASE("scratch gives back what a long text took, and keeps what others need") {
  Scratch scratch;
  scratch.symbols.resize(100);
  scratch.heap.resize(std::size_t(1) << 20);
  scratch.normalized.resize(std::size_t(1) << 21);
  scratch.pieces.written.emplace_back("text");
  const auto* const symbols = scratch.symbols.data();
  scratch.shrink();
  CHECK(scratch.symbols.data() == symbols);
  CHECK(scratch.heap.capacity() == 0);
  CHECK(scratch.normalized.capacity() < 100);
  CHECK(scratch.pieces.written.empty());
  CHECK(&Scratch::of_this_thread() == &Scratch::of_this_thread());
}

TEST_CASE("an error of a text says what is wrong and at which byte") {
  const embedpool::io::TextError error("not UTF-8", 12);
  CHECK(std::string(error.what()) == "text: not UTF-8 at byte 12");
  CHECK(dynamic_cast<const Error*>(&error) != nullptr);
}

TEST_CASE("a trie finds every prefix that was put in, byte by byte, and nothing else") {
  ByteTrie trie;
  trie.insert("a", 1);
  trie.insert("abc", 2);
  trie.insert("\xff", 3);
  trie.insert("a", 4);  // the last value counts
  const std::uint32_t a = trie.child(ByteTrie::root, 'a'), ab = trie.child(a, 'b');
  CHECK(trie.value(a) == 4);
  CHECK(trie.value(ab) == ByteTrie::none);
  CHECK(trie.value(trie.child(ab, 'c')) == 2);
  CHECK(trie.value(trie.child(ByteTrie::root, '\xff')) == 3);
  CHECK(trie.child(ByteTrie::root, 'b') == ByteTrie::none);
  CHECK(trie.value(ByteTrie::root) == ByteTrie::none);
}

TEST_CASE("every byte has a printable character of its own, and texts come back from them") {
  std::set<char32_t> seen;
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t character = ByteAlphabet::character(static_cast<unsigned char>(byte));
    CHECK(seen.insert(character).second);
    CHECK(ByteAlphabet::byte(character) == byte);
    all.push_back(static_cast<char>(byte));
  }
  CHECK(ByteAlphabet::decode(ByteAlphabet::encode(all)) == all);
  CHECK(ByteAlphabet::encode(" a\n") == "\xC4\xA0" "a\xC4\x8A");  // Ġ a Ċ, as the files of GPT-2 have them
  CHECK_FALSE(ByteAlphabet::decode("\xE2\x82\xAC").has_value());  // a euro sign stands for no byte
}

TEST_CASE("a node of a file knows its place") {
  const io::Json json = {{"model", {{"type", "BPE"}, {"parts", {{{"type", "A"}}, {{"type", 3}}}}}}};
  const JsonNode model = JsonNode(json, "tokenizer.json").object("model");
  CHECK(model.type() == "BPE");
  CHECK(model.place("parts") == "model.parts");
  const auto refusal = [](auto&& f) {
    try {
      f();
    } catch (const FileError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  std::vector<std::string> types;
  const std::string third = refusal([&] { model.for_each("parts", [&](const JsonNode& part) { types.push_back(part.type()); }); });
  CHECK(types == std::vector<std::string>{"A"});
  CHECK(third.find("model.parts[1]") != std::string::npos);
  CHECK(refusal([&] { model.array("type"); }).find("must be an array") != std::string::npos);
  CHECK(refusal([&] { model.refuse("model"); }).find("model BPE is not supported") != std::string::npos);
  CHECK(refusal([&] { model.made_at("type", []() -> int { throw std::invalid_argument("no such thing"); }); })
            .find("no such thing") != std::string::npos);
}

TEST_CASE("names of pre-tokenizers in GGUF files have their patterns; unknown ones have none") {
  CHECK(gguf_pattern("gpt-2")->patterns.size() == 1);
  CHECK(gguf_pattern("smollm")->patterns.size() == 2);  // digits first
  CHECK(gguf_pattern("llama-bpe")->ignore_merges);
  CHECK(gguf_pattern("llama-bpe")->add_bos);
  CHECK_FALSE(gguf_pattern("qwen2")->add_bos);
  CHECK_FALSE(gguf_pattern("").has_value());
  CHECK_FALSE(gguf_pattern("llama").has_value());
}
