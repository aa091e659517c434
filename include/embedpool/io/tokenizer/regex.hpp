#pragma once
#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "embedpool/io/tokenizer/regex_dialect.hpp"
#include "embedpool/io/tokenizer/text_error.hpp"

namespace embedpool::io::tokenizing {

/// Where a pattern matched: bytes [begin, end).
struct Match {
  std::size_t begin;
  std::size_t end;
};

/// Working memory of a search. One per thread; any pattern can use it.
class MatchScratch {
 public:
  MatchScratch() : data_(pcre2_match_data_create(1, nullptr)) {
    if (!data_) throw std::bad_alloc();
  }
  pcre2_match_data* get() const noexcept { return data_.get(); }

 private:
  struct Free {
    void operator()(pcre2_match_data* data) const noexcept { pcre2_match_data_free(data); }
  };
  std::unique_ptr<pcre2_match_data, Free> data_;
};

/// A pattern of a tokenizer, in the dialect that tokenizer files are written for (Oniguruma, Ruby syntax), compiled by
/// PCRE2 with Unicode properties and, where the system allows it, to machine code. Immutable and cheap to copy.
///
/// RegexDialect writes what the two mean differently; ^ and $ match at every line.
///
/// Errors  std::invalid_argument with the cause and its place in the pattern (the reader of a file names the file);
///         TextError when a search exceeds PCRE2's limits
class Regex {
 public:
  explicit Regex(std::string pattern) : source_(std::move(pattern)) {
    if (source_.size() > 65536) throw std::invalid_argument("pattern is longer than 65536 bytes");
    const std::string translated = RegexDialect::translate(source_);
    const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
        pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
    if (!context) throw std::bad_alloc();
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE place = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &place,
                                     context.get());
    if (code == nullptr) {
      PCRE2_UCHAR message[256];
      pcre2_get_error_message(error, message, sizeof message);
      throw std::invalid_argument("bad pattern: " + std::string(reinterpret_cast<const char*>(message)) + " near byte " +
                                  std::to_string(place));
    }
    code_ = std::shared_ptr<pcre2_code>(code, pcre2_code_free);
    compiled_ = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  }

  const std::string& source() const noexcept { return source_; }

  /// First match in valid UTF-8 `text` that begins at `from` or later; false when there is none.
  bool find(std::string_view text, std::size_t from, Match& match, const MatchScratch& scratch) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    // The text was checked once; PCRE2 would check all of it again at every call.
    int found = compiled_ ? pcre2_jit_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, scratch.get(), nullptr)
                          : PCRE2_ERROR_JIT_STACKLIMIT;
    if (found == PCRE2_ERROR_JIT_STACKLIMIT)  // the interpreter keeps its stack on the heap
      found = pcre2_match(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, scratch.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) return false;
    if (found < 0) throw TextError("the tokenizer's pattern \"" + source_.substr(0, 60) + "\" exceeds its limits", from);
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(scratch.get());
    match = {ends[0], ends[1] < ends[0] ? ends[0] : ends[1]};
    return true;
  }

  /// Calls each(Match) for the matches from left to right; none overlap, and an empty one never touches the one before.
  template <class Each>
  void for_each_match(std::string_view text, const MatchScratch& scratch, Each each) const {
    Match match{};
    bool any = false;
    for (std::size_t from = 0, last_end = 0; from <= text.size() && find(text, from, match, scratch);) {
      if (match.end > match.begin || !any || match.begin != last_end) {
        each(match);
        last_end = match.end;
        any = true;
      }
      from = match.end;
      if (match.end == match.begin) {  // step over one character
        ++from;
        while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xC0) == 0x80) ++from;
      }
    }
  }

 private:
  std::string source_;
  std::shared_ptr<pcre2_code> code_;
  bool compiled_ = false;
};

}  // namespace embedpool::io::tokenizing
