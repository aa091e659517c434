// Any bytes as a text: one TextError naming the position, or ids that a byte-level tokenizer decodes to the same text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "embedpool/io/tokenizer/tokenizer.hpp"
#include "fuzz/targets.hpp"

namespace {
using embedpool::io::Tokenizer;

/// A byte-level BPE over all 256 bytes with a few merges.
Tokenizer byte_level() {
  using embedpool::io::Json;
  Json vocab = Json::object();
  for (int b = 0; b < 256; ++b)
    vocab[embedpool::io::tokenizing::ByteAlphabet::encode(std::string(1, static_cast<char>(static_cast<unsigned char>(b))))] = b;
  Json merges = Json::array();
  for (const char* merge : {"a b", "ab ab", "e r", "t h", "th e", "\u0120 \u0120", "\u0120\u0120 \u0120\u0120"}) {
    std::string joined = merge;
    joined.erase(joined.find(' '), 1);
    vocab[joined] = vocab.size();
    merges.push_back(merge);
  }
  const Json file = {{"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
                     {"decoder", {{"type", "ByteLevel"}}},
                     {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
  return Tokenizer::from_json(file.dump());
}
/// Everything that rewrites or cuts text.
Tokenizer rewriting() {
  return Tokenizer::from_json(R"({
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}, {"type": "NFC"},
      {"type": "BertNormalizer"}, {"type": "Strip"}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
      {"type": "Punctuation", "behavior": "MergedWithNext"}, {"type": "Metaspace", "prepend_scheme": "first"}]},
    "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Metaspace"}]},
    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1], ["\u2581", -2], ["\u2581the", -1.5], ["er", -2]]}})");
}
}  // namespace

int fuzz_tokenizer_text(const std::uint8_t* data, std::size_t size) {
  static const Tokenizer first = byte_level(), second = rewriting();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    if (first.decode(first.encode(text)) != text) std::abort();
    second.decode(second.encode(text));
  } catch (const embedpool::io::TextError&) {
    if (embedpool::io::tokenizing::first_invalid_utf8(text) == std::string_view::npos) std::abort();
  }
  return 0;
}
