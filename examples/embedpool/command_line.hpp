#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace embedpool::program {

/// The command as somebody typed it, for reports: "embedpool layers --model m.gguf --tasks sts", in the order in which
/// the command has its options.
inline std::string command_line(const CLI::App& command) {
  const auto quoted = [](const std::string& text) {
    if (!text.empty() && text.find_first_of(" \t\n'\"\\{}$*?#&;|<>()`") == std::string::npos) return text;
    std::string result = "'";
    for (const char c : text) {
      if (c == '\'') result += "'\\''";
      else result += c;
    }
    result += '\'';
    return result;
  };
  std::string line = "embedpool " + command.get_name();
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0) continue;
    (line += ' ') += option->get_name();
    if (option->get_items_expected_max() == 0) continue;  // a flag
    for (const std::string& value : option->results()) (line += ' ') += quoted(value);
  }
  return line;
}

}  // namespace embedpool::program
