#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace embedpool::program {

/// Help whose descriptions are broken into lines that fit a terminal.
class HelpFormat : public CLI::Formatter {
 public:
  HelpFormat() {
    column_width(26);
    leave_lines(*this);
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(CLI::Formatter::make_option_desc(option));
  }
  std::string make_subcommand(const CLI::App* command) const override {
    const std::string indent(get_column_width(), ' ');
    std::string text = "  " + command->get_name();
    text += text.size() < indent.size() ? indent.substr(text.size()) : "\n" + indent;
    for (const char c : wrapped(command->get_description())) c == '\n' ? text += c + indent : text += c;
    return text + "\n";
  }

 private:
  /// CLI11 from 2.5 on breaks lines itself, at widths of its own: ours, and those of examples, are broken already.
  template <class Formatter>
  static void leave_lines(Formatter& formatter) {
    if constexpr (requires { formatter.enable_footer_formatting(false); }) {
      formatter.enable_footer_formatting(false);
      formatter.right_column_width(100 - formatter.get_column_width());
    }
  }
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
