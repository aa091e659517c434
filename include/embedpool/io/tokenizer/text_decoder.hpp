#pragma once
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "embedpool/io/tokenizer/byte_alphabet.hpp"
#include "embedpool/io/tokenizer/pattern.hpp"

namespace embedpool::io::tokenizing {

using Spellings = std::vector<std::string>;

/// Characters of the byte alphabet become bytes; a token with others stands for itself.
struct DecodeByteAlphabet {
  void apply(Spellings& tokens, const MatchScratch&) const {
    std::string all;
    for (const std::string& token : tokens) {
      const auto bytes = ByteAlphabet::decode(token);
      all += bytes ? *bytes : token;
    }
    tokens.assign(1, replace_invalid_utf8(std::move(all)));
  }
};

/// Words are joined by spaces, parts of words by nothing; with `cleanup`, without the space before English punctuation.
struct DecodeWordPiece {
  std::string prefix = "##";
  bool cleanup = true;

  void apply(Spellings& tokens, const MatchScratch&) const {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) {
        if (!prefix.empty() && token.starts_with(prefix)) token.erase(0, prefix.size());
        else token.insert(0, " ");
      }
      if (!cleanup) continue;
      static constexpr std::string_view rules[][2] = {
          {" .", "."},     {" ?", "?"},     {" !", "!"},           {" ,", ","},   {" ' ", "'"},   {" n't", "n't"},
          {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},   {" 've", "'ve"}, {" 're", "'re"}};
      for (const auto& [from, to] : rules)
        for (std::size_t at = token.find(from); at != std::string::npos; at = token.find(from, at + to.size()))
          token.replace(at, from.size(), to);
    }
  }
};

/// U+2581 becomes a space; at the very beginning it is dropped, unless the tokenizer never puts one there.
struct DecodeMetaspace {
  std::string replacement = "\xE2\x96\x81";
  bool drop_first = true;

  void apply(Spellings& tokens, const MatchScratch&) const {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string out;
      std::string& token = tokens[i];
      for (std::size_t k = 0; k < token.size();) {
        if (token.compare(k, replacement.size(), replacement) == 0) {
          if (i > 0 || !drop_first) out += ' ';
          k += replacement.size();
        } else {
          out += token[k++];
        }
      }
      token.swap(out);
    }
  }
};

/// Runs of <0xAB> become the characters that the bytes spell, or U+FFFD for each byte when they spell none.
struct DecodeByteFallback {
  void apply(Spellings& tokens, const MatchScratch&) const {
    Spellings out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (first_invalid_utf8(bytes) == std::string::npos) out.push_back(bytes);
      else out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
      bytes.clear();
    };
    for (std::string& token : tokens) {
      const int byte = value(token);
      if (byte >= 0) {
        bytes.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
        continue;
      }
      flush();
      out.push_back(std::move(token));
    }
    flush();
    tokens.swap(out);
  }
  static int value(std::string_view token) noexcept {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    int byte = 0;
    for (const char c : token.substr(3, 2)) {
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) return -1;
      byte = 16 * byte + digit;
    }
    return byte;
  }
};

/// Makes one string of all.
struct DecodeFuse {
  void apply(Spellings& tokens, const MatchScratch&) const {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens.assign(1, std::move(all));
  }
};

struct DecodeReplace {
  Pattern pattern;
  std::string content;

  void apply(Spellings& tokens, const MatchScratch& scratch) const {
    for (std::string& token : tokens) {
      std::string out;
      std::size_t done = 0;
      for_each_match(pattern, token, scratch, [&](const Match& match) {
        out.append(token, done, match.begin - done).append(content);
        done = match.end;
      });
      out.append(token, done);
      token.swap(out);
    }
  }
};

/// Removes up to `left` and `right` times `content` from the ends of every token.
struct DecodeStrip {
  std::string content = " ";
  Index left = 0;
  Index right = 0;

  void apply(Spellings& tokens, const MatchScratch&) const {
    for (std::string& token : tokens) {
      for (Index k = 0; k < left && token.starts_with(content); ++k) token.erase(0, content.size());
      for (Index k = 0; k < right && token.ends_with(content); ++k) token.erase(token.size() - content.size());
    }
  }
};

/// The end-of-word mark becomes a space, at the very end nothing.
struct DecodeWordSuffix {
  std::string suffix = "</w>";

  void apply(Spellings& tokens, const MatchScratch&) const {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::string_view to = i + 1 < tokens.size() ? " " : "";
      for (std::size_t at = tokens[i].find(suffix); !suffix.empty() && at != std::string::npos; at = tokens[i].find(suffix, at + to.size()))
        tokens[i].replace(at, suffix.size(), to);
    }
  }
};

/// One stage of turning spellings back into text; what the last one leaves is joined.
using DecoderStage = std::variant<DecodeByteAlphabet, DecodeWordPiece, DecodeMetaspace, DecodeByteFallback, DecodeFuse,
                                  DecodeReplace, DecodeStrip, DecodeWordSuffix>;

}  // namespace embedpool::io::tokenizing
