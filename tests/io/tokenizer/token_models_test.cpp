// The models by themselves, on vocabularies small enough to work out by hand.
#include <doctest/doctest.h>

#include <random>

#include "embedpool/io/tokenizer/token_model.hpp"

using namespace embedpool::io::tokenizing;
using embedpool::Index;
using embedpool::TokenId;

namespace {
std::shared_ptr<const Vocabulary> vocabulary_of(const std::vector<std::string>& tokens) {
  auto vocabulary = std::make_shared<Vocabulary>(tokens.size());
  for (const auto& token : tokens) vocabulary->add(token, vocabulary->size());
  return vocabulary;
}
template <class Model>
std::string encoded(const Model& model, const Vocabulary& vocabulary, std::string_view word) {
  std::vector<TokenId> ids;
  model.encode(word, ids, Scratch::of_this_thread());
  std::string out;
  for (const TokenId id : ids) out.append(out.empty() ? "" : " ").append(vocabulary.token(id));
  return out;
}
using Rules = std::vector<std::pair<const char*, const char*>>;
Bpe bpe_of(const std::shared_ptr<const Vocabulary>& vocabulary, const Rules& rules, Bpe::Options options = {}) {
  Bpe bpe(vocabulary, options, rules.size());
  std::size_t rank = 0;
  for (const auto& [left, right] : rules) bpe.merges().add(*vocabulary, left, right, options.continuing_prefix, rank++, true);
  return bpe;
}

/// The definition: join the leftmost pair of the least rank until none is left.
std::vector<TokenId> merged_plainly(std::vector<TokenId> ids, const std::vector<std::array<TokenId, 3>>& rules) {
  for (;;) {
    std::size_t best = rules.size(), at = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      for (std::size_t r = 0; r < best; ++r)
        if (rules[r][0] == ids[i] && rules[r][1] == ids[i + 1]) best = r, at = i;
    if (best == rules.size()) return ids;
    ids[at] = rules[best][2];
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}
}  // namespace

TEST_CASE("BPE joins by rank, then from the left") {
  const auto v = vocabulary_of({"<unk>", "a", "b", "c", "ab", "bc", "abc", "aa"});
  const Bpe bpe = bpe_of(v, {{"b", "c"}, {"a", "b"}, {"ab", "c"}, {"a", "a"}});
  CHECK(encoded(bpe, *v, "abc") == "a bc");  // the earlier rule wins although "abc" is a token
  CHECK(encoded(bpe, *v, "ab") == "ab");
  CHECK(encoded(bpe, *v, "aaa") == "aa a");
  CHECK(encoded(bpe, *v, "").empty());
  Bpe::Options whole;
  whole.ignore_merges = true;
  CHECK(encoded(bpe_of(v, {{"b", "c"}}, whole), *v, "abc") == "abc");
}

TEST_CASE("BPE spells unknown characters as its options say") {
  const auto v = vocabulary_of({"<unk>", "a", "<0xC3>", "<0xA9>"});
  Bpe::Options options;
  CHECK(encoded(bpe_of(v, {}, options), *v, "axya") == "a a");  // no unknown token: dropped
  options.unknown = 0;
  CHECK(encoded(bpe_of(v, {}, options), *v, "axya") == "a <unk> <unk> a");
  options.fuse_unknown = true;
  CHECK(encoded(bpe_of(v, {}, options), *v, "axya") == "a <unk> a");
  options.byte_fallback = true;
  CHECK(encoded(bpe_of(v, {}, options), *v, "a\u00E9x") == "a <0xC3> <0xA9> <unk>");
}

TEST_CASE("BPE spells inner characters with a prefix and the last one with a suffix") {
  const auto v = vocabulary_of({"a", "##b", "##b</w>", "a</w>", "a##", "ab</w>"});
  Bpe::Options options;
  options.continuing_prefix = "##";
  options.word_suffix = "</w>";
  CHECK(encoded(bpe_of(v, {{"a", "##b</w>"}}, options), *v, "ab") == "ab</w>");
  CHECK(encoded(bpe_of(v, {}, options), *v, "abb") == "a ##b ##b</w>");
  CHECK(encoded(bpe_of(v, {}, options), *v, "a") == "a</w>");
}

TEST_CASE("scanning and heap agree with the definition of BPE at every length") {
  std::vector<std::string> names{"a", "b", "c"};
  std::mt19937 random(7);
  std::vector<std::array<TokenId, 3>> rules;
  for (int i = 0; i < 60; ++i) {
    const auto pick = [&] { return static_cast<TokenId>(random() % names.size()); };
    const TokenId left = pick(), right = pick();
    const std::string joined = names[static_cast<std::size_t>(left)] + names[static_cast<std::size_t>(right)];
    if (joined.size() > 12 || std::find(names.begin(), names.end(), joined) != names.end()) continue;
    rules.push_back({left, right, static_cast<TokenId>(names.size())});
    names.push_back(joined);
  }
  const auto v = vocabulary_of(names);
  Bpe bpe(v, {}, rules.size());
  for (std::uint32_t r = 0; r < rules.size(); ++r) bpe.merges().add(rules[r][0], rules[r][1], rules[r][2], r, true);
  for (std::size_t length = 1; length < 120; ++length) {
    std::string word;
    std::vector<TokenId> symbols;
    for (std::size_t i = 0; i < length; ++i) {
      symbols.push_back(static_cast<TokenId>(random() % 3));
      word += names[static_cast<std::size_t>(symbols.back())];
    }
    std::vector<TokenId> ids;
    bpe.encode(word, ids, Scratch::of_this_thread());
    CAPTURE(word);
    CHECK(ids == merged_plainly(symbols, rules));
  }
}

TEST_CASE("WordPiece takes the longest token, then the longest rest") {
  const auto v = vocabulary_of({"[UNK]", "un", "una", "##able", "##a", "##ble", "\u00E9", "##\u00E9"});
  const WordPiece model(v, 0, "##", 6);
  CHECK(encoded(model, *v, "unable") == "una ##ble");
  CHECK(encoded(model, *v, "unx") == "[UNK]");
  CHECK(encoded(model, *v, "\u00E9\u00E9") == "\u00E9 ##\u00E9");
  CHECK(encoded(model, *v, "unaaaaa") == "[UNK]");  // longer than six characters
  CHECK(encoded(model, *v, "##a") == "##a");        // written so in the text, it is the token
}

TEST_CASE("Unigram takes the segmentation of the greatest score") {
  const auto v = vocabulary_of({"<unk>", "a", "b", "ab", "abc", "c"});
  const Unigram model(v, {0, -1, -1, -1.5, -4, -2}, 0, false);
  CHECK(encoded(model, *v, "ab") == "ab");     // -1.5 beats -2
  CHECK(encoded(model, *v, "abc") == "ab c");  // -3.5 beats -4
  CHECK(encoded(model, *v, "axyb") == "a <unk> b");
  CHECK(encoded(model, *v, "xx") == "<unk>");
}

TEST_CASE("Unigram spells unknown characters in bytes, or says that it cannot") {
  std::vector<std::string> tokens{"<unk>", "a"};
  for (const auto& name : {"<0xC3>", "<0xA9>"}) tokens.emplace_back(name);
  const auto v = vocabulary_of(tokens);
  CHECK(encoded(Unigram(v, {0, -1, -9, -9}, 0, true), *v, "a\u00E9a") == "a <0xC3> <0xA9> a");
  CHECK(encoded(Unigram(v, {0, -1, -9, -9}, 0, true), *v, "a\u00E8") == "a <unk>");
  std::vector<TokenId> ids;
  const Unigram none(v, {0, -1, -9, -9}, std::nullopt, false);
  CHECK_THROWS_AS(none.encode("z", ids, Scratch::of_this_thread()), embedpool::io::TextError);
}

TEST_CASE("SentencePiece BPE joins by score, then from the left") {
  const auto v = vocabulary_of({"<unk>", "a", "b", "c", "ab", "bc", "abc", "aa", "<0xC3>", "<0xA9>"});
  const std::vector<bool> joinable(10, true);
  const SentencePieceBpe model(v, {0, -9, -9, -9, -2, -1, -3, -4, 0, 0}, joinable, 0);
  CHECK(encoded(model, *v, "ab") == "ab");
  CHECK(encoded(model, *v, "abc") == "abc");  // bc first, then a and bc spell a token
  CHECK(encoded(model, *v, "aaa") == "aa a");
  CHECK(encoded(model, *v, "a\u00E9") == "a <0xC3> <0xA9>");
  CHECK(encoded(model, *v, "a\u00E8") == "a <unk>");
  const SentencePieceBpe positive(v, {0, 9, 9, 9, 2, 1, 3, 4, 0, 0}, joinable, 0);
  CHECK(encoded(positive, *v, "abc") == "abc");
}

TEST_CASE("vocabularies refuse tokens and ids that come twice or lie far out") {
  Vocabulary v(2);
  v.add("a", 0);
  CHECK_THROWS_AS(v.add("a", 1), std::invalid_argument);
  CHECK_THROWS_AS(v.add("b", 0), std::invalid_argument);
  CHECK_THROWS_AS(v.add("b", -1), std::invalid_argument);
  CHECK_THROWS_AS(v.add("b", Index(1) << 30), std::invalid_argument);
  v.add("b", 5);
  CHECK(v.size() == 6);
  CHECK_FALSE(v.has(3));
  CHECK(v.find("b") == 5);
  CHECK_FALSE(v.find("c").has_value());
}

TEST_CASE("hash tables keep everything while they grow") {
  StringTable names;
  FlatMap numbers;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    CHECK(names.insert("token " + std::to_string(i), i));
    CHECK(numbers.insert(std::uint64_t(i) << 32 | (i * 7), i));
  }
  CHECK_FALSE(names.insert("token 77", 1));
  CHECK_FALSE(numbers.insert(0, 1));
  for (std::uint32_t i = 0; i < 5000; ++i) {
    CHECK(names.find("token " + std::to_string(i)) == i);
    CHECK(numbers.find(std::uint64_t(i) << 32 | (i * 7)) == i);
  }
  CHECK(names.find("token 5000") == StringTable::none);
  CHECK(numbers.find(1) == FlatMap::absent);
}
