#pragma once
#include <string>
#include <string_view>
#include <variant>

#include "embedpool/io/tokenizer/regex.hpp"
#include "embedpool/io/tokenizer/split.hpp"

namespace embedpool::io::tokenizing {

/// What Split and Replace look for: a literal string or a regular expression.
using Pattern = std::variant<std::string, Regex>;

template <class Each>
void for_each_match(const Pattern& pattern, std::string_view text, const MatchScratch& scratch, Each&& each) {
  if (const auto* literal = std::get_if<std::string>(&pattern)) occurrences_of(text, *literal)(each);
  else std::get<Regex>(pattern).for_each_match(text, scratch, each);
}

}  // namespace embedpool::io::tokenizing
