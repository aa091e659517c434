#pragma once
#include <string>
#include <variant>
#include <vector>

#include "embedpool/io/tokenizer/bert_characters.hpp"
#include "embedpool/io/tokenizer/pattern.hpp"
#include "embedpool/io/tokenizer/precompiled_charsmap.hpp"
#include "embedpool/io/tokenizer/unicode.hpp"

namespace embedpool::io::tokenizing {

struct ToNormalForm {
  NormalForm form;
  void apply(std::string& text, const MatchScratch&) const { normalize(text, form); }
};

struct Lowercase {
  void apply(std::string& text, const MatchScratch&) const { lowercase(text); }
};

/// Removes marks (categories M*); a decomposition usually stands before it.
struct StripAccents {
  void apply(std::string& text, const MatchScratch&) const {
    if (!is_ascii(text)) filter_characters(text, [](char32_t c) { return !is_mark(c); });
  }
};

/// BERT's own normalizer: control characters out, every white space a space, ideographs set apart, accents out, lower case.
struct BertNormalizer {
  bool clean_text = true;
  bool split_ideographs = true;
  bool strip_accents = true;
  bool lower = true;

  void apply(std::string& text, const MatchScratch&) const {
    if (clean_text) {
      std::string out;
      out.reserve(text.size());
      for (std::size_t i = 0; i < text.size();) {
        const auto [c, bytes] = decode_utf8(text, i);
        if (c != 0xFFFD && !is_control(c)) {
          if (is_whitespace(c)) out += ' ';
          else out.append(text, i, bytes);
        }
        i += bytes;
      }
      text.swap(out);
    }
    if (split_ideographs && !is_ascii(text)) {
      std::string out;
      out.reserve(text.size() + 16);
      for (std::size_t i = 0; i < text.size();) {
        const auto [c, bytes] = decode_utf8(text, i);
        const bool apart = is_ideograph(c);
        if (apart) out += ' ';
        out.append(text, i, bytes);
        if (apart) out += ' ';
        i += bytes;
      }
      text.swap(out);
    }
    if (strip_accents && !is_ascii(text)) {
      normalize(text, NormalForm::nfd);
      filter_characters(text, [](char32_t c) { return !is_nonspacing_mark(c); });
    }
    if (lower) lowercase(text);
  }
};

/// Puts a string before a text that is not empty.
struct Prepend {
  std::string prefix;
  void apply(std::string& text, const MatchScratch&) const {
    if (!text.empty()) text.insert(0, prefix);
  }
};

/// Puts `content` in place of every match.
struct Replace {
  Pattern pattern;
  std::string content;

  void apply(std::string& text, const MatchScratch& scratch) const {
    std::string out;
    std::size_t done = 0;
    bool any = false;
    const std::size_t limit = 16 * text.size() + (std::size_t(16) << 20);
    for_each_match(pattern, text, scratch, [&](const Match& match) {
      any = true;
      out.append(text, done, match.begin - done).append(content);
      done = match.end;
      if (out.size() > limit) throw TextError("the tokenizer's replacements make the text too long", match.begin);
    });
    if (!any) return;
    out.append(text, done);
    text.swap(out);
  }
};

/// Removes white space at the ends.
struct Strip {
  bool left = true;
  bool right = true;

  void apply(std::string& text, const MatchScratch&) const {
    std::size_t begin = 0, end = text.size();
    while (left && begin < end) {
      const auto [c, bytes] = decode_utf8(text, begin);
      if (!is_whitespace(c)) break;
      begin += bytes;
    }
    while (right && begin < end) {
      std::size_t at = end - 1;
      while (at > begin && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
      if (!is_whitespace(decode_utf8(text, at).value)) break;
      end = at;
    }
    text.erase(end);
    text.erase(0, begin);
  }
};

struct ApplyCharsmap {
  PrecompiledCharsmap map;
  void apply(std::string& text, const MatchScratch&) const { map.apply(text); }
};

/// One stage of rewriting a text before it is cut.
using NormalizerStage = std::variant<ToNormalForm, Lowercase, StripAccents, BertNormalizer, Prepend, Replace, Strip, ApplyCharsmap>;

/// A list of stages. Hostile lists could double a text again and again, so its growth is bounded.
struct Normalizer {
  std::vector<NormalizerStage> stages;

  void apply(std::string& text, const MatchScratch& scratch) const {
    const std::size_t limit = 64 * text.size() + (std::size_t(1) << 20);
    for (const NormalizerStage& stage : stages) {
      std::visit([&](const auto& s) { s.apply(text, scratch); }, stage);
      if (text.size() > limit) throw TextError("the tokenizer's normalizers make the text too long", 0);
    }
  }
};

}  // namespace embedpool::io::tokenizing
