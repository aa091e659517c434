// Every id against the recorded ones. The folder is searched: X.tokenizer.json and X.gguf are checked with X.jsonl;
// smollm2.jsonl and minilm.jsonl with the model files that EMBEDPOOL_SMOLLM2_GGUF and EMBEDPOOL_MINILM name.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "support/golden.hpp"

namespace {
using embedpool::Index;
using embedpool::TokenId;
using embedpool::io::Tokenizer;
using Json = nlohmann::json;
namespace fs = std::filesystem;

fs::path folder() { return embedpool::test::golden_directory() / "tokenizers"; }
std::vector<Json> rows_of(const fs::path& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file, path.string());
  std::vector<Json> rows;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) rows.push_back(Json::parse(line));
  return rows;
}
std::vector<std::string> strings() {
  std::vector<std::string> texts;
  for (const Json& row : rows_of(folder() / "strings.jsonl")) {
    const auto i = row.at("i").get<std::size_t>();
    if (texts.size() <= i) texts.resize(i + 1);
    texts[i] = row.at("text").get<std::string>();
  }
  return texts;
}

using Ids = std::vector<TokenId>;

/// Compares one row; `decodes`: the tokenizer gives back every text, but where the row says otherwise.
void check_row(const Tokenizer& tokenizer, const Json& row, const std::vector<std::string>& texts, bool decodes) {
  const std::string& text = texts.at(row.at("i").get<std::size_t>());
  CAPTURE(text);
  CAPTURE(row.dump());
  std::optional<Index> max_length;
  if (row.contains("max_length")) max_length = row["max_length"].get<Index>();
  if (row.contains("pair")) {
    const auto both = tokenizer.encode_pair(text, texts.at(row["pair"].get<std::size_t>()), max_length);
    CHECK(both.ids == row.at("ids_special").get<Ids>());
    if (row.contains("type_ids")) CHECK(both.type_ids == row["type_ids"].get<std::vector<std::int32_t>>());
    return;
  }
  Ids ids = tokenizer.encode(text);
  if (max_length && static_cast<Index>(ids.size()) > *max_length) ids.resize(static_cast<std::size_t>(*max_length));
  CHECK(ids == row.at("ids").get<Ids>());
  if (row.contains("ids_special")) CHECK(tokenizer.encode_with_special(text, max_length).ids == row["ids_special"].get<Ids>());
  if (max_length) return;
  if (row.contains("decoded")) CHECK(tokenizer.decode(ids) == row["decoded"].get<std::string>());
  else if (decodes) CHECK(tokenizer.decode(ids) == text);
}

void check_all(const Tokenizer& tokenizer, const std::string& name, bool decodes) {
  const auto texts = strings();
  const auto rows = rows_of(folder() / (name + ".jsonl"));
  REQUIRE(rows.size() > 0);
  for (const Json& row : rows) check_row(tokenizer, row, texts, decodes);
}

std::string without(std::string name, const std::string& ending) {
  return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : "";
}
bool is_byte_level(const Tokenizer& tokenizer) { return tokenizer.parts().kind == "BPE, byte level"; }

/// Every tokenizer of the folder whose file ends so.
void check_files(const std::string& ending) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(folder())) {
    const std::string name = without(entry.path().filename().string(), ending);
    if (name.empty()) continue;
    CAPTURE(name);
    const Tokenizer tokenizer = Tokenizer::open(entry.path());
    check_all(tokenizer, name, is_byte_level(tokenizer));
    ++files;
  }
  CHECK(files > 0);
}

/// The path in an environment variable, when it names something that exists.
std::optional<fs::path> model_file(const char* variable) {
  const char* path = std::getenv(variable);
  if (path != nullptr && fs::exists(path)) return path;
  MESSAGE("skipped: " << std::string(variable) << std::string(path ? " names no file" : " is not set"));
  return std::nullopt;
}
}  // namespace

TEST_CASE("ids of tokenizer.json files equal the recorded ones") {
  check_files(".tokenizer.json");
}

TEST_CASE("ids of GGUF tokenizers equal the recorded ones") {
  check_files(".gguf");
}

TEST_CASE("ids of SmolLM2 equal the recorded ones") {
  const auto path = model_file("EMBEDPOOL_SMOLLM2_GGUF");
  if (path) check_all(Tokenizer::open(*path), "smollm2", true);
}

TEST_CASE("ids of all-MiniLM-L6-v2 equal the recorded ones") {
  const auto path = model_file("EMBEDPOOL_MINILM");
  if (path) check_all(Tokenizer::open(*path), "minilm", false);
}
