#include "embedpool/eval/report/escape.hpp"

#include <doctest/doctest.h>

#include "embedpool/eval/report/number.hpp"
#include "embedpool/eval/report/text_width.hpp"

using namespace embedpool::report;

namespace {
const std::string unknown = "\xEF\xBF\xBD";  // U+FFFD
}

TEST_CASE("signs with a meaning in HTML are named, in text and in attributes") {
  CHECK(escape_markup("<script>alert('a & \"b\"')</script>") ==
        "&lt;script&gt;alert(&#39;a &amp; &quot;b&quot;&#39;)&lt;/script&gt;");
  CHECK(escape_markup("&lt;") == "&amp;lt;");
  CHECK(escape_markup("layer-mix, 9 \xC3\x97 64 \xF0\x9F\x98\x80") == "layer-mix, 9 \xC3\x97 64 \xF0\x9F\x98\x80");
}

TEST_CASE("control characters become spaces, and what is no UTF-8 U+FFFD, a byte at a time") {
  CHECK(escape_markup(std::string_view("a\0b\x1B\x7F\r\n\tc", 9)) == "a b     c");
  CHECK(escape_markup("a\xC2\x85" "b\xC2\xA0" "c") == "a b\xC2\xA0" "c");  // NEL is a control character, NBSP is none
  CHECK(escape_markup("\xFFz\xC3") == unknown + "z" + unknown);
  CHECK(escape_markup("\xC0\xAF") == unknown + unknown);                       // "/" in two bytes
  CHECK(escape_markup("\xED\xA0\x80") == unknown + unknown + unknown);         // half a surrogate pair
  CHECK(escape_markup("\xF4\x90\x80\x80") == unknown + unknown + unknown + unknown);  // beyond U+10FFFF
  CHECK(escape_markup("\xF4\x8F\xBF\xBD") == "\xF4\x8F\xBF\xBD");              // the last but two
  CHECK(escape_markup("\xEF\xBF\xBE|\xEF\xBF\xBF") == unknown + "|" + unknown);
  CHECK(escape_markup("") == "");
}

TEST_CASE("Markdown's signs get a backslash where they mean something") {
  CHECK(escape_markdown("a|b") == "a\\|b");
  CHECK(escape_markdown("*a* `b` [c](d) ~~e~~ \\ $f$") == "\\*a\\* \\`b\\` \\[c\\](d) \\~\\~e\\~\\~ \\\\ \\$f\\$");
  CHECK(escape_markdown("<b>&amp;") == "&lt;b>&amp;amp;");
  CHECK(escape_markdown("main_score _a_ b_") == "main_score \\_a\\_ b\\_");
  CHECK(escape_markdown("a\nb\r\nc") == "a b  c");
}

TEST_CASE("a text at the start of a line is no heading, list, quotation, rule or code") {
  CHECK(escape_markdown("# a") == "\\# a");
  CHECK(escape_markdown("- a") == "\\- a");
  CHECK(escape_markdown("+ a") == "\\+ a");
  CHECK(escape_markdown(">a") == "\\>a");  // a quotation needs no space
  CHECK(escape_markdown("---") == "\\---");
  CHECK(escape_markdown("===") == "\\===");
  CHECK(escape_markdown("12. a") == "12\\. a");
  CHECK(escape_markdown("1) a") == "1\\) a");
  CHECK(escape_markdown("    a  ") == "a");  // four spaces would be code
  CHECK(escape_markdown("\t# a") == "\\# a");
  CHECK(escape_markdown("   ") == "");
  // Numbers, flags and names stay readable.
  for (const std::string same : {"-0.5", "0.25", "mean+last", "p = 0.05", "#5", "a > b", "3.5 million"})
    CHECK(escape_markdown(same) == same);
}

TEST_CASE("numbers have a fixed count of decimals, no sign of zero, and nothing where there is none") {
  CHECK(fixed(1234.5, 2) == "1234.50");
  CHECK(fixed(-0.001, 2) == "0.00");
  CHECK(fixed(-0.0, 0) == "0");
  CHECK(fixed(-0.006, 2) == "-0.01");
  CHECK(fixed(std::nan(""), 2) == "");
  CHECK(fixed(-INFINITY, 2) == "");
  CHECK(fixed(1e308, 2).size() == 309 + 3);
  CHECK(compact(2.50) == "2.5");
  CHECK(compact(100) == "100");
  CHECK(compact(0.001) == "0");
  CHECK(compact(-0.5, 1) == "-0.5");
}

TEST_CASE("a text that is too wide keeps as much of its start as fits, whole characters, and an ellipsis") {
  CHECK(shortened("short", 13, 100) == "short");
  const std::string text = "\xE8\xAA\x9E\xE8\xAA\x9E\xE8\xAA\x9E\xE8\xAA\x9E";  // four ideographs, one em each
  CHECK(shortened(text, 10, 40) == text);
  CHECK(shortened(text, 10, 39) == "\xE8\xAA\x9E\xE8\xAA\x9E\xE2\x80\xA6");  // two and the em of the ellipsis
  CHECK(shortened(text, 10, 0) == "\xE2\x80\xA6");
  CHECK(text_width("", 10) == 0);
}
