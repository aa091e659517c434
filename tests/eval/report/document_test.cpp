#include "embedpool/eval/report/document.hpp"

#include "embedpool/eval/report/style_sheet.hpp"
#include "eval/report/markup.hpp"

using namespace embedpool;
using namespace embedpool::report;
using namespace embedpool::test;

namespace {

const std::string hostile = "<img src=x onerror=\"alert(1)\">|*_`$ &amp;\n# \x01\xFF";

/// The fields of CSV by RFC 4180, which allows no line end but CR LF outside of quotes.
std::vector<std::vector<std::string>> parsed_csv(const std::string& csv) {
  std::vector<std::vector<std::string>> rows{{""}};
  for (std::size_t i = 0; i < csv.size(); ++i) {
    std::string& field = rows.back().back();
    if (csv[i] == '"' && field.empty()) {
      for (++i; csv[i] != '"' || csv[i + 1] == '"'; ++i) {
        if (csv[i] == '"') ++i;
        field += csv[i];
      }
    } else if (csv[i] == ',') {
      rows.back().emplace_back();
    } else if (csv[i] == '\r') {
      REQUIRE(csv[++i] == '\n');
      rows.push_back({""});
    } else {
      REQUIRE((csv[i] != '"' && csv[i] != '\n'));
      field += csv[i];
    }
  }
  rows.pop_back();  // behind the last line end
  return rows;
}

/// The cells of a Markdown table as a reader sees them: between bars without a backslash, escapes and bold taken away.
std::vector<std::vector<std::string>> parsed_markdown(const std::string& markdown) {
  std::vector<std::vector<std::string>> rows;
  std::size_t at = 0;
  while (at < markdown.size()) {
    const std::size_t end = markdown.find('\n', at);
    const std::string line = markdown.substr(at, end - at);
    at = end + 1;
    if (line.empty() || line[0] != '|' || line.starts_with("| ---")) continue;
    std::vector<std::string> cells;
    std::string cell;
    for (std::size_t i = 1; i < line.size(); ++i) {
      if (line[i] == '|') {
        cells.push_back(cell.substr(1, cell.size() - 2));
        cell.clear();
      } else if (line[i] == '\\') {
        cell += line[++i];
      } else if (line.compare(i, 2, "**") == 0) {
        ++i;
      } else if (line.compare(i, 4, "&lt;") == 0 || line.compare(i, 5, "&amp;") == 0) {
        cell += line[i + 1] == 'l' ? '<' : '&';
        i = line.find(';', i);
      } else {
        cell += line[i];
      }
    }
    rows.push_back(cells);
  }
  return rows;
}

std::string unescaped(std::string text) {
  const std::vector<std::pair<std::string, std::string>> signs = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}};
  for (const auto& [name, sign] : signs)
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; ++at) text.replace(at, name.size(), sign);
  return text;
}

/// The cells of an HTML table.
std::vector<std::vector<std::string>> parsed_html(const std::string& html) {
  std::vector<std::vector<std::string>> rows;
  for (const MarkupElement& element : elements_of(html)) {
    if (element.name == "tr") rows.emplace_back();
    if (element.name == "th" || element.name == "td") rows.back().push_back(unescaped(element.text));
    if (element.name == "strong") rows.back().back() = unescaped(element.text);
  }
  return rows;
}

}  // namespace

TEST_CASE("a table has the same cells in the three formats") {
  const Table table{"Scores", {"system", "score, %", "|p|"},
                    {{"mean <last> & \"first\"", Cell{"61.2", true}, "0.5"},
                     {"=SUM(A1:A2)", "-0.5", ""},
                     {"9 * 64 | x_y", "#1", "a, 'b'"}}};
  std::vector<std::vector<std::string>> cells{table.columns};
  for (const auto& row : table.rows) {
    cells.emplace_back();
    for (const Cell& cell : row) cells.back().push_back(cell.text);
  }
  CHECK(parsed_csv(to_csv(table)) == cells);
  CHECK(parsed_markdown(to_markdown(table)) == cells);
  CHECK(parsed_html(to_html(table)) == cells);
  CHECK(to_markdown(table).starts_with("**Scores**\n\n| system | score, % | \\|p\\| |\n| --- | ---: | --- |\n"));
  CHECK(count_of(elements_of(to_html(table)), "td") == 6);
  CHECK(times(to_html(table), "class=\"words\"") == 4);  // the last column has a word in it
  CHECK(to_markdown(table).find("| **61.2** |") != std::string::npos);
  CHECK(count_of(elements_of(to_html(table)), "strong") == 1);
}

TEST_CASE("hostile fields stay one field each, and a CSV file holds their bytes as they are") {
  const Table table{hostile, {hostile, "a,b"}, {{hostile, "\"quoted\"\r\nsecond line"}}};
  const std::vector<std::vector<std::string>> csv = parsed_csv(to_csv(table));
  REQUIRE(csv.size() == 2);
  CHECK(csv[0] == std::vector<std::string>{hostile, "a,b"});
  CHECK(csv[1] == std::vector<std::string>{hostile, "\"quoted\"\r\nsecond line"});
  const std::vector<std::vector<std::string>> markdown = parsed_markdown(to_markdown(table));
  REQUIRE(markdown.size() == 2);
  CHECK(markdown[1].size() == 2);
  CHECK(markdown[1][0] == "<img src=x onerror=\"alert(1)\">|*_`$ &amp; #  \xEF\xBF\xBD");
  CHECK(parsed_html(to_html(table))[1][0] == markdown[1][0]);
  CHECK(times(to_markdown(table), "\n") == 5);  // caption, empty line, header, rule, one row
}

TEST_CASE("empty tables are whole, and rows of another length refused by the table's name") {
  CHECK(to_csv(Table{"t", {"a", "b"}, {}}) == "a,b\r\n");
  CHECK(to_markdown(Table{"t", {}, {}}) == "**t**\n\n");
  CHECK(count_of(elements_of(to_html(Table{"t", {"a"}, {}})), "tr") == 1);
  CHECK(count_of(elements_of(to_html(Table{"t", {}, {}})), "table") == 0);
  const Table ragged{"ragged", {"a", "b"}, {{"1", "2"}, {"3"}}};
  for (const auto write : {to_csv, to_html, to_markdown}) {
    std::string message;
    try {
      write(ragged);
    } catch (const ShapeError& error) {
      message = error.what();
    }
    CHECK(message == "table 'ragged': cells of a row must be 2, got 1");
  }
}

TEST_CASE("a document is one HTML file that needs nothing else, and no text gets out of its place") {
  Document document(hostile);
  for (const char* heading : {"First", "Second", "Third"}) document.heading(heading);
  document.heading(hostile);
  document.subheading(hostile);
  document.paragraph(hostile);
  document.list({hostile, "b"});
  document.code("embedpool compare --template '" + hostile + "'\n```\nend");
  document.table({hostile, {hostile}, {{hostile}}});
  document.figure(hostile, "<svg></svg>");
  const std::string html = document.html();
  CHECK(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  const std::vector<MarkupElement> elements = elements_of(html, true);
  for (const MarkupElement& element : elements) {
    CAPTURE(element.name);
    for (const char* fetching : {"script", "link", "img", "iframe", "object", "embed", "base"}) CHECK(element.name != fetching);
    CHECK(!element.attributes.contains("src"));
    if (element.attributes.contains("href")) CHECK(element.attributes.at("href").starts_with("#"));
    for (const auto& [name, value] : element.attributes) CHECK(!name.starts_with("on"));
    if (element.name == "style")
      for (const char* fetching : {"url(", "@import"}) CHECK(element.text.find(fetching) == std::string::npos);
  }
  CHECK(count_of(elements, "h1") == 1);
  CHECK(count_of(elements, "h2") == 4);
  CHECK(count_of(elements, "a") == 4);  // contents
  for (int i = 1; i <= 4; ++i) {
    CHECK(count_of(elements, "a", "href", "#section-" + std::to_string(i)) == 1);
    CHECK(count_of(elements, "h2", "id", "section-" + std::to_string(i)) == 1);
  }
  CHECK(count_of(elements, "svg") == 1);

  const std::string markdown = document.markdown();
  CHECK(markdown.starts_with("# &lt;img src=x"));
  CHECK(times(markdown, "\n## ") == 4);
  CHECK(times(markdown, "\n### ") == 1);
  CHECK(times(markdown, "\n````\n") == 2);  // longer than the fence inside
  CHECK(markdown.find("\n*Figure: &lt;img") != std::string::npos);
}

TEST_CASE("code keeps its lines, also without a line end at its end") {
  Document document("t");
  document.code("a <b>\n  c");
  document.code("");
  CHECK(document.html().find("<pre tabindex=\"0\">a &lt;b&gt;\n  c\n</pre>") != std::string::npos);
  CHECK(document.markdown().find("\n```\na <b>\n  c\n```\n") != std::string::npos);
}

TEST_CASE("a page holds its style, which fetches nothing, and prints black on white") {
  CHECK(Document("t").html().find(style_sheet) != std::string::npos);
  for (const char* outside : {"url(", "@import", "http", "</"}) CHECK(style_sheet.find(outside) == std::string_view::npos);
  CHECK(style_sheet.find("@media screen and (prefers-color-scheme:dark)") != std::string_view::npos);  // not on paper
}
