#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace embedpool::program {

/// Help whose descriptions are broken into lines that fit a terminal.
class HelpFormat : public CLI::Formatter {
 public:
  HelpFormat() { column_width(26); }

  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(CLI::Formatter::make_option_desc(option));
  }
  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream text;
    CLI::detail::format_help(text, command->get_name(), wrapped(command->get_description()), get_column_width());
    return text.str();
  }

 private:
  std::string wrapped(const std::string& text) const {
    const std::size_t width = 100 - get_column_width();
    std::string lines;
    std::size_t length = 0;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      if (length > 0 && length + 1 + word.size() > width) {
        lines += '\n';
        length = 0;
      } else if (length > 0) {
        lines += ' ';
        ++length;
      }
      lines += word;
      length += word.size();
    }
    return lines;
  }
};

}  // namespace embedpool::program
