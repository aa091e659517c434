#pragma once
#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace embedpool::io::tokenizing {

/// Writes a pattern in the dialect of tokenizer files (Oniguruma, Ruby syntax) so that PCRE2 understands the same by it:
///
///   \s \w \b [:alpha:] ...   the sets of characters that Oniguruma means; \p{Han} is a script without its extensions
///   X{1,3}+ and X{2}?        the group (?:X{1,3}) again and again, (?:X{2}) or not; X{,3} begins at 0
///   (?m)                     the dot matches line ends; (?i) in mid pattern holds to the end of its group, with its |
///
/// Errors  std::invalid_argument for what has no equivalent here: classes inside classes, && in a class, other options
/// Source  kkos/oniguruma, doc/RE and doc/SYNTAX.md
class RegexDialect {
 public:
  static std::string translate(std::string_view pattern) {
    RegexDialect dialect(pattern);
    return dialect.whole();
  }

 private:
  static constexpr const char* space =
      "\\t-\\r\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
  static constexpr const char* word =
      "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}";
  static constexpr const char* latin_numbers = "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";  // word outside classes alone

  struct Group {
    std::size_t begin;  ///< of the group, in out_
    int options = 0;    ///< groups that (?i) opened and that end with this one
  };

  explicit RegexDialect(std::string_view pattern) : pattern_(pattern) {}

  [[noreturn]] static void refuse(const std::string& what) {
    throw std::invalid_argument("bad pattern: " + what + " is not supported");
  }
  bool follows(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  /// Copies what stands up to `end`.
  void copy_to(std::size_t end) {
    out_.append(pattern_.substr(at_, end - at_));
    at_ = std::min(end, pattern_.size());
  }

  std::string whole() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '{' && interval()) continue;
      if (c == '*' || c == '+' || c == '?' || c == '|' || c == ')') {
        if (c == ')') close_group();
        copy_to(at_ + 1);
        continue;
      }
      if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) item_ = out_.size();
      if (c == '\\') escape(false);
      else if (c == '[') character_class();
      else if (c == '(') open_group();
      else copy_to(at_ + 1);
    }
    out_.append(static_cast<std::size_t>(groups_.front().options), ')');
    return out_;
  }

  /// X{n}, X{n,}, X{,m} or X{n,m}; false for a brace that begins none.
  bool interval() {
    const std::size_t close = pattern_.find('}', at_);
    if (close == std::string_view::npos) return false;
    const std::string_view inside = pattern_.substr(at_ + 1, close - at_ - 1);
    const std::size_t comma = inside.find(',');
    const auto number = [](std::string_view text) {
      return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    const bool fixed = comma == std::string_view::npos;
    if (!number(inside.substr(0, comma)) || (!fixed && !number(inside.substr(comma + 1))) || inside.size() == (fixed ? 0u : 1u))
      return false;
    const std::string count = "{" + std::string(comma == 0 ? "0" : "") + std::string(inside) + "}";
    at_ = close + 1;
    const bool again = follows("+") || (fixed && follows("?"));  // PCRE2 would hold on to, or prefer few of, what it has
    if (again) out_.insert(item_, "(?:");
    out_ += count + (again ? ")" : "");
    return true;
  }

  void open_group() {
    std::size_t end = at_ + 1;
    if (follows("(?#")) return copy_to(std::min(pattern_.find(')', at_), pattern_.size() - 1) + 1);
    if (follows("(?")) {
      const auto is_option = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '-'; };
      for (++end; end < pattern_.size() && is_option(pattern_[end]);) ++end;
      const std::string_view options = pattern_.substr(at_ + 2, end - at_ - 2);
      const bool ends = end < pattern_.size() && pattern_[end] == ')', opens = end < pattern_.size() && pattern_[end] == ':';
      if (!options.empty() && (ends || opens)) {
        if (options.find_first_not_of("im-") != std::string_view::npos) refuse("the option in (?" + std::string(options) + ")");
        if (opens) groups_.push_back({out_.size()});
        else ++groups_.back().options;
        out_ += "(?";
        for (const char option : options) out_ += option == 'm' ? 's' : option;
        out_ += ':';
        at_ = end + 1;
        return;
      }
    }
    groups_.push_back({out_.size()});
    copy_to(end);
  }
  void close_group() {
    if (groups_.size() == 1) return;  // PCRE2 complains
    out_.append(static_cast<std::size_t>(groups_.back().options), ')');
    item_ = groups_.back().begin;
    groups_.pop_back();
  }

  void escape(bool in_class) {
    const char escaped = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    const std::string set = escaped == 's' || escaped == 'S' ? space : in_class ? word : std::string(word) + latin_numbers;
    if (std::string_view("hHKCGyYOMQE").find(escaped) != std::string_view::npos || (in_class && escaped == 'W'))
      refuse(std::string("\\") + escaped + (in_class ? " inside a class" : ""));
    if (escaped == 'p' || escaped == 'P') return property();
    // Bytes of a character, which PCRE2 would take for characters.
    const char digit = escaped == 'x' && at_ + 2 < pattern_.size() ? pattern_[at_ + 2] : '0';
    if (std::string_view("89abcdefABCDEF").find(digit) != std::string_view::npos)
      refuse("\\x above 7f without braces");
    if (escaped == 's' || escaped == 'w') out_ += in_class ? set : "[" + set + "]";
    else if (escaped == 'S' && in_class) out_ += "\\P{White_Space}";
    else if (escaped == 'S' || escaped == 'W') out_ += "[^" + set + "]";
    else if (escaped == 'b' && !in_class) out_ += "(?:(?<=[" + set + "])(?![" + set + "])|(?<![" + set + "])(?=[" + set + "]))";
    else if (escaped == 'B' && !in_class) out_ += "(?:(?<=[" + set + "])(?=[" + set + "])|(?<![" + set + "])(?![" + set + "]))";
    else if (escaped == 'v') out_ += "\\x0b";
    else return copy_to(at_ + 2);
    at_ += 2;
  }

  /// \p{Name}: by the bare name of a script, PCRE2 means the characters that are used with it, too.
  void property() {
    const std::size_t close = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || close == std::string_view::npos) refuse("\\p without braces");
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    const std::string script = "\\p{sc:" + std::string(name) + "}";
    const bool is_script = name.size() > 2 && name.find_first_of(":=") == std::string_view::npos && compiles(script);
    if (!is_script) return copy_to(close + 1);
    out_ += std::string("\\") + ((pattern_[at_ + 1] == 'P') != negated ? "P" : "p") + script.substr(2);
    at_ = close + 1;
  }
  static bool compiles(const std::string& pattern) {
    int error = 0;
    PCRE2_SIZE place = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF, &error,
                                     &place, nullptr);
    pcre2_code_free(code);
    return code != nullptr;
  }

  void character_class() {
    copy_to(at_ + (follows("[^") ? 2 : 1));
    if (follows("]")) copy_to(at_ + 1);  // in first place it stands for itself
    while (at_ < pattern_.size() && !follows("]")) {
      if (follows("&&")) refuse("&& in a class");
      if (follows("[:")) named_class();
      else if (follows("[")) refuse("a class inside a class");
      else if (follows("\\")) escape(true);
      else copy_to(at_ + 1);
    }
    copy_to(at_ + 1);
  }
  /// [:name:] inside a class.
  void named_class() {
    static constexpr std::string_view known[][2] = {
        {"alpha", "\\p{Alphabetic}"}, {"alnum", "\\p{Alphabetic}\\p{Nd}"},
        {"upper", "\\p{Uppercase}"}, {"lower", "\\p{Lowercase}"},
        {"digit", "\\p{Nd}"}, {"space", space}, {"word", word}, {"punct", "\\p{P}\\p{S}"}, {"blank", "\\t\\p{Zs}"},
        {"cntrl", "\\p{Cc}"}, {"xdigit", "0-9A-Fa-f"}, {"ascii", "\\x00-\\x7f"}};
    const std::size_t end = pattern_.find(":]", at_ + 2);
    const std::string_view name = pattern_.substr(at_ + 2, end == std::string_view::npos ? end : end - at_ - 2);
    const auto* found = std::find_if(std::begin(known), std::end(known), [&](const auto& entry) { return entry[0] == name; });
    if (end == std::string_view::npos || found == std::end(known)) refuse("[:" + std::string(name.substr(0, 60)) + ":]");
    out_ += (*found)[1];
    at_ = end + 2;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;                   // in pattern_
  std::string out_{};
  std::size_t item_ = 0;                 // where what a quantifier is of begins, in out_
  std::vector<Group> groups_{Group{0}};  // those that are open, around them the pattern
};

}  // namespace embedpool::io::tokenizing
