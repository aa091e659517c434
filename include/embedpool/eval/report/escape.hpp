#pragma once
#include <string>
#include <string_view>

namespace embedpool::report {

namespace detail {
/// Bytes of the UTF-8 character that `text`, which is not empty, starts with; 0 where it starts with none.
inline std::size_t character_bytes(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  if (length == 3 && ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F))) return 0;
  if (length == 4 && ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F))) return 0;
  return length;
}
}  // namespace detail

/// Calls use(character) for each character of a text. What XML or a row of a table cannot hold is replaced: a byte that is
/// no UTF-8 and the noncharacters U+FFFE and U+FFFF come as U+FFFD, control characters as spaces.
template <class Use>
void for_each_character(std::string_view text, Use&& use) {
  while (!text.empty()) {
    const std::size_t length = detail::character_bytes(text);
    const std::string_view character = text.substr(0, length);
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const bool control = byte(0) < 0x20 || byte(0) == 0x7F || (length == 2 && byte(0) == 0xC2 && byte(1) < 0xA0);
    if (length == 0 || character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF") use(std::string_view("\xEF\xBF\xBD"));
    else use(control ? std::string_view(" ") : character);
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

/// Text as the content or a quoted attribute of HTML, SVG and XML: < > & " ' are named, line ends become spaces.
inline std::string escape_markup(std::string_view text) {
  std::string escaped;
  for_each_character(text, [&](std::string_view character) {
    switch (character[0]) {
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '&': escaped += "&amp;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += character;
    }
  });
  return escaped;
}

/// Text that Markdown shows as it is, at the start of a line and in a table as well: its own signs get a backslash, < and &
/// are named, line ends become spaces, spaces around the text are left out. An underscore inside a word (main_score) means
/// nothing there and stays.
///
/// Source  CommonMark 0.31 with GitHub's tables, strikethrough and formulas between dollars
inline std::string escape_markdown(std::string_view text) {
  const auto in_word = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (static_cast<unsigned char>(c) >= 0x80);
  };
  std::string clean, escaped;
  for_each_character(text, [&](std::string_view character) { clean += character; });
  clean.erase(0, clean.find_first_not_of(' '));
  clean.erase(clean.find_last_not_of(' ') + 1);
  const std::size_t digits = clean.find_first_not_of("0123456789");  // before a dot or bracket the start of a list
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const char c = clean[i], before = i > 0 ? clean[i - 1] : ' ', after = i + 1 < clean.size() ? clean[i + 1] : ' ';
    const bool meant = std::string_view("\\`*|[]~$").find(c) != std::string_view::npos ||
                       (c == '_' && !(in_word(before) && in_word(after))) || (i == 0 && c == '>') ||
                       (i == 0 && std::string_view("#-+=").find(c) != std::string_view::npos && !in_word(after)) ||
                       (i > 0 && i == digits && (c == '.' || c == ')') && after == ' ');
    if (c == '<') escaped += "&lt;";
    else if (c == '&') escaped += "&amp;";
    else escaped += meant ? std::string{'\\', c} : std::string(1, c);
  }
  return escaped;
}

}  // namespace embedpool::report
