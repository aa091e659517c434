#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "embedpool/eval/report/escape.hpp"
#include "embedpool/eval/report/style_sheet.hpp"
#include "embedpool/eval/report/table.hpp"

namespace embedpool::report {

/// A report, written from its start to its end: one HTML file that needs nothing else, and Markdown with the same text and
/// tables. All text is plain: signs with a meaning in either are escaped.
class Document {
 public:
  explicit Document(std::string title) : title_(std::move(title)) {}

  void heading(const std::string& text) {
    headings_.push_back(text);
    html_ += "<h2 id=\"section-" + std::to_string(headings_.size()) + "\">" + escape_markup(text) + "</h2>\n";
    markdown_ += "\n## " + escape_markdown(text) + "\n";
  }
  void subheading(const std::string& text) {
    html_ += "<h3>" + escape_markup(text) + "</h3>\n";
    markdown_ += "\n### " + escape_markdown(text) + "\n";
  }
  void paragraph(const std::string& text) {
    html_ += "<p>" + escape_markup(text) + "</p>\n";
    markdown_ += "\n" + escape_markdown(text) + "\n";
  }
  void list(const std::vector<std::string>& items) {
    if (items.empty()) return;
    html_ += "<ul>\n";
    markdown_ += "\n";
    for (const std::string& item : items) {
      html_ += "<li>" + escape_markup(item) + "</li>\n";
      markdown_ += "- " + escape_markdown(item) + "\n";
    }
    html_ += "</ul>\n";
  }

  /// Commands or settings as they are, line by line.
  void code(const std::string& text) {
    std::string fence = "```";
    while (text.find(fence) != std::string::npos) fence += '`';
    html_ += "<pre tabindex=\"0\">";
    markdown_ += "\n" + fence + "\n";
    for (std::size_t from = 0; from < text.size();) {
      const std::size_t end = std::min(text.find('\n', from), text.size());
      const std::string line = text.substr(from, end - from);
      html_ += escape_markup(line) + "\n";
      for_each_character(line, [&](std::string_view character) { markdown_ += character; });
      markdown_ += "\n";
      from = end + 1;
    }
    html_ += "</pre>\n";
    markdown_ += fence + "\n";
  }

  /// Errors  ShapeError when a row is not as long as the columns
  void table(const Table& table) {
    html_ += to_html(table);
    markdown_ += "\n" + to_markdown(table);
  }

  /// A drawing of draw(...), which is taken as it is; Markdown has its caption alone.
  void figure(const std::string& caption, const std::string& svg) {
    html_ += "<figure>\n<div class=\"scroll\" tabindex=\"0\">" + svg + "</div>\n";
    if (!caption.empty()) html_ += "<figcaption>" + escape_markup(caption) + "</figcaption>\n";
    html_ += "</figure>\n";
    if (!caption.empty()) markdown_ += "\n*Figure: " + escape_markdown(caption) + "*\n";
  }

  std::string html() const {
    const std::string title = escape_markup(title_);
    std::string text =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n<title>" + title + "</title>\n<style>\n";
    text += style_sheet;
    text += "</style>\n</head>\n<body>\n<main>\n<h1>" + title + "</h1>\n";
    if (headings_.size() > 2) {
      text += "<nav aria-label=\"Contents\"><ul>\n";
      for (std::size_t i = 0; i < headings_.size(); ++i)
        text += "<li><a href=\"#section-" + std::to_string(i + 1) + "\">" + escape_markup(headings_[i]) + "</a></li>\n";
      text += "</ul></nav>\n";
    }
    return text + html_ + "</main>\n</body>\n</html>\n";
  }

  std::string markdown() const { return "# " + escape_markdown(title_) + "\n" + markdown_; }

 private:
  std::string title_, html_{}, markdown_{};
  std::vector<std::string> headings_{};
};

}  // namespace embedpool::report
