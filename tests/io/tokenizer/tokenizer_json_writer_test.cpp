// The tokenizer.json that is made of a GGUF file gives the ids that the file gives.
#include "embedpool/io/tokenizer/tokenizer_json_writer.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>

#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "io/temporary_folder.hpp"
#include "io/tokenizer/gguf_metadata.hpp"
#include "support/golden.hpp"

using embedpool::FileError;
using embedpool::TokenId;
using embedpool::testing::GgufMetadata;
using namespace embedpool::io;
using Ids = std::vector<TokenId>;

namespace {

std::vector<std::string> strings() {
  std::ifstream file(embedpool::test::golden_directory() / "tokenizers/strings.jsonl");
  REQUIRE(file);
  std::vector<std::string> texts;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) texts.push_back(Json::parse(line).at("text").get<std::string>());
  return texts;
}

/// A byte-level vocabulary of every byte, a few merges of letters and digits, and tokens of every type.
GgufMetadata bytes_gguf(const std::string& pre, std::vector<std::string> merges = {"a b", "1 2", "12 3", "\u0120 a", "\u0120a b",
                                                                                    "' s", "\u0120 \u0120"}) {
  GgufMetadata file;
  std::vector<std::string> tokens;
  std::vector<std::int32_t> types(256, 1);
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(tokenizing::ByteAlphabet::encode(std::string(1, static_cast<char>(byte))));
  for (const std::string token : {"ab", "12", "123", "\u0120a", "\u0120ab", "'s", "\u0120\u0120"}) tokens.push_back(token), types.push_back(1);
  tokens.insert(tokens.end(), {"<s>", "</s>", "<user>", "<unused>"});
  types.insert(types.end(), {3, 3, 4, 5});
  file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", pre);
  file.texts("tokenizer.ggml.tokens", tokens).texts("tokenizer.ggml.merges", merges);
  file.integers("tokenizer.ggml.token_type", types);
  return file.natural("tokenizer.ggml.bos_token_id", 263).natural("tokenizer.ggml.eos_token_id", 264);
}

/// Compares everything that callers see of both, on these texts.
void check_same(const GgufFile& file, const std::vector<std::string>& texts) {
  const HuggingFaceTokenizer made = hugging_face_tokenizer(file);
  const embedpool::test::TemporaryFolder folder;
  folder.write("tokenizer.json", made.tokenizer.dump());
  folder.write("tokenizer_config.json", made.config.dump());
  const auto before = Tokenizer::from_gguf(file), after = Tokenizer::from_directory(folder / "");
  CHECK(before.size() == after.size());
  CHECK(before.bos() == after.bos());
  CHECK(before.eos() == after.eos());
  CHECK(before.pad() == after.pad());
  CHECK(before.unknown() == after.unknown());
  for (TokenId id = 0; id < before.size(); ++id) {
    CHECK(before.token(id) == after.token(id));
    CHECK(before.is_special(id) == after.is_special(id));
  }
  for (const std::string& text : texts) {
    CAPTURE(text);
    const Ids ids = before.encode(text);
    CHECK(ids == after.encode(text));
    CHECK(before.encode(text, false) == after.encode(text, false));
    CHECK(before.encode_with_special(text).ids == after.encode_with_special(text).ids);
    const auto pair = before.encode_pair(text, "ab"), again = after.encode_pair(text, "ab");
    CHECK(pair.ids == again.ids);
    CHECK(pair.type_ids == again.type_ids);
    CHECK(before.decode(ids) == after.decode(ids));
  }
}

const std::vector<std::string> hand_made{"", "ab 12345 ab's  x", " ab", "a\n\n b\t", "<s>ab</s> <user><unused>", "caf\u00e9 \u6f22\u5b57",
                                         "1234567", "$+<=>^~|!? ab", "AB\u00df'S"};

}  // namespace

TEST_CASE("recorded texts have the same ids, with special tokens and without, from the tokenizer.json as from the file") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(embedpool::test::golden_directory() / "tokenizers")) {
    if (entry.path().extension() != ".gguf") continue;
    CAPTURE(entry.path().string());
    check_same(GgufFile::open(entry.path()), strings());
    ++files;
  }
  CHECK(files > 0);
  if (const char* path = std::getenv("EMBEDPOOL_SMOLLM2_GGUF"); path != nullptr && *path != 0)
    check_same(GgufFile::open(path), strings());
}

TEST_CASE("every pre-tokenizer of GGUF files can be stated") {
  for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "tekken", "gpt-4o", "default"}) {
    CAPTURE(std::string(pre));
    const std::string bytes = bytes_gguf(pre).bytes();
    check_same(GgufMetadata::read(bytes), hand_made);
  }
}

TEST_CASE("tokens that are put around a text, and a space in front of it, are stated as well") {
  for (const bool bos : {false, true})
    for (const bool eos : {false, true}) {
      const std::string bytes = bytes_gguf("smollm")
                                    .flag("tokenizer.ggml.add_bos_token", bos)
                                    .flag("tokenizer.ggml.add_eos_token", eos)
                                    .natural("tokenizer.ggml.padding_token_id", 264)
                                    .natural("tokenizer.ggml.unknown_token_id", 266)
                                    .bytes();
      check_same(GgufMetadata::read(bytes), hand_made);
    }
  const std::string space = bytes_gguf("gpt-2").flag("tokenizer.ggml.add_space_prefix", true).bytes();
  check_same(GgufMetadata::read(space), hand_made);
}

TEST_CASE("a merge that comes twice keeps its first rank") {
  const std::string bytes = bytes_gguf("gpt-2", {"1 2", "a b", "\u0120 a", "\u0120a b", "a b"}).bytes();
  const GgufFile file = GgufMetadata::read(bytes);
  CHECK(hugging_face_tokenizer(file).tokenizer.at("model").at("merges").size() == 4);
  check_same(file, {" ab 12 ab", "ab"});
}

TEST_CASE("what a tokenizer.json cannot state is refused by key") {
  const auto refused = [](const GgufMetadata& metadata, const std::string& culprit) {
    const std::string bytes = metadata.bytes();
    CHECK_THROWS_WITH_AS(hugging_face_tokenizer(GgufMetadata::read(bytes)), doctest::Contains(culprit.c_str()), FileError);
  };
  refused(bytes_gguf("smollm").flag("tokenizer.ggml.add_space_prefix", true), "tokenizer.ggml.add_space_prefix");
  GgufMetadata pieces;
  pieces.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", {"<unk>", "a"});
  pieces.integers("tokenizer.ggml.token_type", {2, 1}).floats("tokenizer.ggml.scores", {0, 0});
  refused(pieces, "tokenizer.ggml.model");
}
