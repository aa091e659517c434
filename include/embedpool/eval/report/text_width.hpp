#pragma once
#include <string>
#include <string_view>

#include "embedpool/eval/report/escape.hpp"

namespace embedpool::report {

/// About how wide a text is, in pixels, in letters of that size: enough for nearly all texts in the usual sans-serif
/// fonts. Who only writes files cannot know the font that will be there.
inline double text_width(std::string_view text, double font_size) {
  double ems = 0;
  for_each_character(text, [&](std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    const bool ideograph = first >= 0xE3;
    const bool narrow = std::string_view("ijl.,:;|!'()[] tfrI").find(character) != std::string_view::npos;
    const bool broad = std::string_view("mwMW%@").find(character) != std::string_view::npos;
    const bool capital = first >= 'A' && first <= 'Z';
    ems += ideograph ? 1.0 : broad ? 0.95 : narrow ? 0.38 : capital ? 0.72 : 0.62;
  });
  return ems * font_size;
}

/// The text, or as much of its start as fits into `width` pixels with an ellipsis behind it.
inline std::string shortened(std::string_view text, double font_size, double width) {
  if (text_width(text, font_size) <= width) return std::string(text);
  constexpr std::string_view ellipsis = "\xE2\x80\xA6";
  std::string kept;
  double used = font_size;
  bool full = false;
  for_each_character(text, [&](std::string_view character) {
    used += text_width(character, font_size);
    full = full || used > width;
    if (!full) kept += character;
  });
  return kept.append(ellipsis);
}

}  // namespace embedpool::report
