#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/report/escape.hpp"

namespace embedpool::report {

/// One field of a table: plain text, which the writers below escape.
struct Cell {
  Cell() = default;
  Cell(std::string content, bool emphasised = false) : text(std::move(content)), strong(emphasised) {}
  Cell(const char* content, bool emphasised = false) : text(content), strong(emphasised) {}

  std::string text{};
  bool strong = false;  ///< set in bold: the best of a column, say
};

/// A table for people: the first column says what a row is about and stands left, like other columns of words; columns of
/// figures stand right.
struct Table {
  std::string caption{};
  std::vector<std::string> columns{};
  std::vector<std::vector<Cell>> rows{};  ///< each as long as columns
};

namespace detail {
inline void require_rectangular(const Table& table) {
  for (const auto& row : table.rows)
    require_equal("table '" + table.caption + "'", "cells of a row", static_cast<Index>(row.size()),
                  static_cast<Index>(table.columns.size()));
}

/// A column behind the first of which no field begins with a letter.
inline bool holds_figures(const Table& table, std::size_t column) {
  const auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  for (const auto& row : table.rows)
    if (const std::string& text = row[column].text; !text.empty() && is_word(text[0])) return false;
  return column > 0;
}
}  // namespace detail

/// A Markdown table under its caption in bold; the caption alone for a table without columns.
///
/// Errors  ShapeError when a row is not as long as the columns
inline std::string to_markdown(const Table& table) {
  detail::require_rectangular(table);
  std::string text = table.caption.empty() ? "" : "**" + escape_markdown(table.caption) + "**\n\n";
  if (table.columns.empty()) return text;
  for (const std::string& column : table.columns) text += "| " + escape_markdown(column) + " ";
  text += "|\n";
  for (std::size_t i = 0; i < table.columns.size(); ++i) text += detail::holds_figures(table, i) ? "| ---: " : "| --- ";
  text += "|\n";
  for (const auto& row : table.rows) {
    for (const Cell& cell : row) {
      const std::string content = escape_markdown(cell.text);
      text += cell.strong && !content.empty() ? "| **" + content + "** " : "| " + content + " ";
    }
    text += "|\n";
  }
  return text;
}

/// An HTML figure: the caption over the table, which has a box of its own to scroll in where it is wider than the page.
///
/// Errors  ShapeError when a row is not as long as the columns
inline std::string to_html(const Table& table) {
  detail::require_rectangular(table);
  std::string html = "<figure class=\"table\">\n";
  if (!table.caption.empty()) html += "<figcaption>" + escape_markup(table.caption) + "</figcaption>\n";
  if (table.columns.empty()) return html + "</figure>\n";
  html += "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>";
  std::vector<std::string> look;  // of each column
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    look.emplace_back(i == 0 || detail::holds_figures(table, i) ? "" : " class=\"words\"");
    html += "<th scope=\"col\"" + look[i] + ">" + escape_markup(table.columns[i]) + "</th>";
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string content = escape_markup(row[i].text);
      const std::string shown = row[i].strong ? "<strong>" + content + "</strong>" : content;
      html += i == 0 ? "<th scope=\"row\">" + shown + "</th>" : "<td" + look[i] + ">" + shown + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table></div>\n</figure>\n";
}

/// Comma-separated values, the columns' names first: a field with a comma, a quote or a line end is quoted, lines end in
/// CR LF. The caption is not in it. Fields hold their text as it is, also where a spreadsheet would take it for a formula
/// (=, +, - or @ at its start): other programs find a name again, and a negative number stays one.
///
/// Errors  ShapeError when a row is not as long as the columns
/// Source  RFC 4180
inline std::string to_csv(const Table& table) {
  detail::require_rectangular(table);
  std::string csv;
  const auto field = [&](bool first, std::string_view text) {
    if (!first) csv += ',';
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
      csv += text;
      return;
    }
    csv += '"';
    for (const char c : text) csv.append(c == '"' ? 2 : 1, c);
    csv += '"';
  };
  for (std::size_t i = 0; i < table.columns.size(); ++i) field(i == 0, table.columns[i]);
  csv += "\r\n";
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) field(i == 0, row[i].text);
    csv += "\r\n";
  }
  return csv;
}

}  // namespace embedpool::report
