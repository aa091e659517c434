#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "embedpool/eval/report/critical_difference.hpp"
#include "embedpool/eval/report/grouped_bars.hpp"
#include "embedpool/eval/report/heat_map.hpp"
#include "embedpool/eval/report/line_chart.hpp"
#include "embedpool/eval/report/palette.hpp"
#include "eval/report/markup.hpp"

using namespace embedpool;
using namespace embedpool::report;
using namespace embedpool::test;
using embedpool::report::detail::rank_bars;
using embedpool::report::detail::RankBar;

namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
const std::string hostile = "\"><script>a & 'b'</script>\n\x01\xFF";

/// The elements of a drawing, which must be well-formed, of numbers alone, and inside its view.
std::vector<MarkupElement> drawn(const auto& chart) {
  const std::string text = draw(chart);
  const std::vector<MarkupElement> elements = elements_of(text);
  REQUIRE(elements.front().name == "svg");
  CHECK(count_of(elements, "svg") == 1);
  CHECK(count_of(elements, "script") == 0);
  const double width = elements[0].number("width"), height = elements[0].number("height");
  CHECK(width > 0);
  CHECK(height > 0);
  for (const MarkupElement& element : elements)
    for (const auto& attribute : element.attributes) {
      const auto& name = attribute.first;  // CAPTURE takes no structured bindings
      const auto& value = attribute.second;
      CAPTURE(element.name);
      CAPTURE(name);
      CAPTURE(value);
      static const std::array numbers = {"x", "y", "x1", "x2", "y1", "y2", "width", "height", "stroke-width"};
      const bool number = std::find(numbers.begin(), numbers.end(), name) != numbers.end();
      if (number) {
        char* end = nullptr;
        const double got = std::strtod(value.c_str(), &end);
        CHECK((!value.empty() && *end == '\0' && std::isfinite(got)));
        CHECK(got >= (name == "width" || name == "height" || name == "stroke-width" ? 0 : -0.5));
        const bool across = name[0] == 'x' || name == "width";
        CHECK(got <= (across ? width : height) + 0.5);
      }
      if (name == "d") {
        CHECK(value.find_first_not_of("MLHVlhvaZ0123456789.- ") == std::string::npos);
        CHECK(std::isdigit(static_cast<unsigned char>(value[1])));
      }
      for (const char* bad : {"nan", "inf", "NaN"})
        if (name != "aria-label" && name != "font-family") CHECK(value.find(bad) == std::string::npos);
    }
  return elements;
}

std::vector<std::string> tick_texts(const Axis& axis) {
  std::vector<std::string> texts;
  for (const double tick : axis.ticks()) texts.push_back(axis.tick_text(tick));
  return texts;
}
Axis axis_of(std::initializer_list<double> values, int most = 6, bool whole = false) {
  Range range;
  for (const double value : values) range.add(value);
  return Axis(range, most, whole);
}
using Texts = std::vector<std::string>;

/// Values that a careless chart would divide by, take the logarithm of, or write down.
const std::vector<std::vector<double>> hard_values = {
    {0, 0, 0},          {0.5, 0.5, 0.5},    {-1, -2, -3},           {-1, 0, 1},        {none, none, none},
    {none, 1, infinity}, {-infinity, 2, 3},  {1e300, -1e300, 1},     {1e12, -1e12, 0},  {1e-300, 2e-300, 0},
    {5e-324, 0, 0},     {1, 1 + 1e-15, 1},  {1e12, 1e12 + 1e-3, 1e12}, {61.2, 61.3, 61.4}};

}  // namespace

TEST_CASE("ticks are steps of 1, 2 or 5 that cover the values, with as many decimals as the step") {
  CHECK(tick_texts(axis_of({0, 1})) == Texts{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
  CHECK(tick_texts(axis_of({0, 61.2})) == Texts{"0", "20", "40", "60", "80"});
  CHECK(tick_texts(axis_of({61.21, 61.24})) == Texts{"61.210", "61.215", "61.220", "61.225", "61.230", "61.235", "61.240"});
  CHECK(tick_texts(axis_of({-3, 2})) == Texts{"-3", "-2", "-1", "0", "1", "2"});
  CHECK(tick_texts(axis_of({-0.05, 0.05})) == Texts{"-0.06", "-0.04", "-0.02", "0.00", "0.02", "0.04", "0.06"});
  CHECK(tick_texts(axis_of({1, 3}, 20, true)) == Texts{"1", "2", "3"});  // whole steps, however few
  CHECK(tick_texts(axis_of({0, 120000})) == Texts{"0", "20000", "40000", "60000", "80000", "100000", "120000"});
}

TEST_CASE("no values give the axis from 0 to 1, equal ones stand in the middle of theirs") {
  CHECK(tick_texts(axis_of({})) == tick_texts(axis_of({0, 1})));
  CHECK(tick_texts(axis_of({none, infinity, 1e13})) == tick_texts(axis_of({0, 1})));
  const Axis single = axis_of({50});
  CHECK(single.fraction(50) == doctest::Approx(0.5));
  CHECK(single.low() < 50);
  CHECK(axis_of({0, 0}).fraction(0) == doctest::Approx(0.5));
  CHECK(tick_texts(axis_of({7, 7}, 10, true)) == Texts{"6", "7", "8"});
  for (const auto& values : hard_values) {
    Range range;
    for (const double value : values) range.add(value);
    const Axis axis(range, 6);
    CHECK(axis.low() < axis.high());
    CHECK(axis.low() <= range.low);
    CHECK(axis.high() >= range.high);
    CHECK(axis.ticks().size() >= 2);
    CHECK(axis.ticks().size() <= 9);
  }
}

TEST_CASE("grouped bars: a bar for each value that is one, from zero up or down, with its interval") {
  const GroupedBars chart{"Score", "score x 100", {"sts", "retrieval"},
                          {{"A", {50, -25}, {40, -30}, {60, -20}}, {"B", {none, 100}, {}, {}}}};
  const std::vector<MarkupElement> elements = drawn(chart);
  std::vector<const MarkupElement*> bars;  // those with a note, which legend and background have not
  for (std::size_t i = 0; i + 1 < elements.size(); ++i)
    if (elements[i].name == "rect" && elements[i + 1].name == "title") bars.push_back(&elements[i]);
  REQUIRE(bars.size() == 3);
  CHECK(bars[0]->number("height") == doctest::Approx(2 * bars[1]->number("height")).epsilon(1e-3));
  CHECK(bars[2]->number("height") == doctest::Approx(2 * bars[0]->number("height")).epsilon(1e-3));
  CHECK(bars[0]->number("y") + bars[0]->number("height") == doctest::Approx(bars[1]->number("y")).epsilon(1e-4));  // both at zero
  CHECK(bars[0]->attributes.at("fill") == bars[1]->attributes.at("fill"));
  CHECK(bars[0]->attributes.at("fill") != bars[2]->attributes.at("fill"));
  CHECK(draw(chart).find("<title>A, sts: 50 (40 to 60)</title>") != std::string::npos);
}

TEST_CASE("every chart draws every value, or leaves out what it cannot show") {
  for (const auto& values : hard_values) {
    CAPTURE(values);
    int shown = 0;
    for (const double value : values) shown += std::abs(value) <= 1e12;
    CHECK(count_of(drawn(GroupedBars{"t", "y", {"a", "b", "c"}, {{"s", values, values, values}}}), "title") == shown);
    CHECK(count_of(drawn(LineChart{"t", "x", "y", {1, 2, 3}, {{"s", values}}}), "title") == shown);
    CHECK(count_of(drawn(HeatMap{"t", "x", "y", {"a", "b", "c"}, {"r"}, {values}}), "title") == shown);
    CHECK(count_of(drawn(HeatMap{"t", "x", "y", {"a", "b", "c"}, {"r"}, {values}, -1, 1}), "title") == shown);
    CHECK(count_of(drawn(CriticalDifference{"t", {"a", "b", "c"}, values, {{0, 1, 2}}}), "path") == shown);
  }
}

TEST_CASE("every chart is whole without a value, with one, and with names that would break out") {
  drawn(GroupedBars{});
  drawn(GroupedBars{"t", "", {"a"}, {}});
  drawn(GroupedBars{"", "", {}, {{"s", {}, {}, {}}}});
  drawn(GroupedBars{hostile, hostile, {hostile}, {{hostile, {1}, {0.5}, {2}}}});
  drawn(LineChart{});
  drawn(LineChart{"t", "x", "y", {3}, {{"s", {2}}}});
  drawn(LineChart{"t", "x", "y", {3, 3}, {{"s", {2, 4}}}});
  drawn(LineChart{hostile, hostile, hostile, {0, 1}, {{hostile, {1, 2}, 3, true}}});
  drawn(HeatMap{});
  drawn(HeatMap{"t", "x", "y", {}, {"a"}, {{}}});
  drawn(HeatMap{hostile, hostile, hostile, {hostile}, {hostile}, {{1}}, 5, -5});
  drawn(CriticalDifference{});
  drawn(CriticalDifference{"t", {"a"}, {1}, {{0}, {}}});
  drawn(CriticalDifference{hostile, {hostile, "b"}, {1, 2}, {{0, 1}}});
  const std::string long_name(300, 'W');
  drawn(GroupedBars{long_name, long_name, Texts(12, long_name), {{long_name, std::vector<double>(12, 1.0), {}, {}}}});
  drawn(LineChart{long_name, "x", long_name, {0, 1}, {{long_name, {1, 2}}, {long_name, {2, 1}}}});
  drawn(HeatMap{long_name, "x", "y", Texts(30, long_name), Texts(30, long_name), std::vector(30, std::vector<double>(30, 0.5))});
  drawn(CriticalDifference{long_name, Texts(12, long_name), std::vector<double>(12, 6.5), {}});
}

TEST_CASE("a line has a gap where a value is missing, and a mark where a value stands alone") {
  const std::string chart = draw(LineChart{"t", "", "", {0, 1, 2, 3, 4}, {{"s", {1, 2, none, 4, none}}}});
  const std::vector<MarkupElement> elements = elements_of(chart);
  int strokes = 0;
  for (const MarkupElement& element : elements) {
    if (element.name != "path" || element.attributes.at("fill") != "none") continue;
    ++strokes;
    const std::string& path = element.attributes.at("d");
    CHECK(std::count(path.begin(), path.end(), 'M') == 2);
    CHECK(std::count(path.begin(), path.end(), 'L') == 1);
  }
  CHECK(strokes == 1);
  CHECK(count_of(elements, "title") == 3);
}

TEST_CASE("a heat map writes its values in letters that can be read on their colour") {
  const std::vector<MarkupElement> elements = drawn(HeatMap{"t", "", "", {"a", "b"}, {"r"}, {{-12.34, 12.34}}, -12.34, 12.34});
  CHECK(count_of(elements, "rect", "fill", "#440154") == 1);  // the ends of viridis
  CHECK(count_of(elements, "rect", "fill", "#fde725") == 1);
  int written = 0;
  for (const MarkupElement& element : elements) written += element.name == "text" && (element.text == "-12.3" || element.text == "12.3");
  CHECK(written == 4);  // in two cells, and at the ends of the scale
  // Contrast by WCAG 2.1: at least 4.5 between letters and ground.
  for (int i = 0; i <= 200; ++i) {
    const HeatColour colour(i / 200.0);
    double luminance = 0;
    for (const auto& [at, weight] : {std::pair<std::size_t, double>{1, 0.2126}, {3, 0.7152}, {5, 0.0722}}) {
      const double c = std::stoi(colour.text().substr(at, 2), nullptr, 16) / 255.0;
      luminance += weight * (c <= 0.03928 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4));
    }
    CAPTURE(i);
    CHECK((colour.letters() == "#000" ? (luminance + 0.05) / 0.05 : 1.05 / (luminance + 0.05)) >= 4.5);
  }
  CHECK(HeatColour(-3).text() == "#440154");
  CHECK(HeatColour(3).text() == "#fde725");
}

TEST_CASE("average ranks: bars over what is not told apart, on one level where they do not meet") {
  // Demsar's drawing by hand: ranks 1 to 4, {A, B} and {C, D} beside each other, {B, C} between them a level lower.
  const CriticalDifference chart{"t", {"A", "B", "C", "D"}, {1, 2, 3, 4}, {{0, 1}, {2, 3}, {1, 2}}};
  const std::vector<RankBar> bars = rank_bars(chart);
  REQUIRE(bars.size() == 3);
  CHECK((bars[0].from == 1 && bars[0].to == 2 && bars[0].level == 0));
  CHECK((bars[1].from == 3 && bars[1].to == 4 && bars[1].level == 0));
  CHECK((bars[2].from == 2 && bars[2].to == 3 && bars[2].level == 1));
  const std::vector<MarkupElement> elements = drawn(chart);
  CHECK(count_of(elements, "line", "stroke-width", "4.5") == 3);
  CHECK(count_of(elements, "path") == 4);
  std::vector<std::string> left, right;
  for (const MarkupElement& element : elements)
    if (element.name == "text" && element.text.find('(') != std::string::npos)
      (element.attributes.contains("text-anchor") ? left : right).push_back(element.text);
  CHECK(left == Texts{"A (1.00)", "B (2.00)"});
  CHECK(right == Texts{"C (3.00)", "D (4.00)"});
  // The axis reaches to the number of systems, even if no rank does; a missing rank is in no bar.
  const CriticalDifference missing{"t", {"A", "B", "C"}, {1, none, 1.5}, {{0, 1}, {0, 1, 2}}};
  REQUIRE(rank_bars(missing).size() == 1);
  CHECK(rank_bars(missing)[0].to == 1.5);
  const std::vector<MarkupElement> three = drawn(missing);
  CHECK(std::any_of(three.begin(), three.end(), [](const MarkupElement& e) { return e.name == "text" && e.text == "3"; }));
}

TEST_CASE("charts whose parts do not fit together are refused by name") {
  CHECK_THROWS_WITH_AS(draw(GroupedBars{"t", "", {"a", "b"}, {{"s", {1}, {}, {}}}}),
                       "grouped bars 't': values of 's' must be 2, got 1", ShapeError);
  CHECK_THROWS_AS(draw(GroupedBars{"t", "", {"a"}, {{"s", {1}, {1}, {}}}}), ShapeError);  // half an interval
  CHECK_THROWS_AS(draw(LineChart{"t", "", "", {1, 2}, {{"s", {1}}}}), ShapeError);
  CHECK_THROWS_AS(draw(LineChart{"t", "", "", {1, none}, {{"s", {1, 2}}}}), ShapeError);
  CHECK_THROWS_AS(draw(HeatMap{"t", "", "", {"a"}, {"b", "c"}, {{1}}}), ShapeError);
  CHECK_THROWS_AS(draw(HeatMap{"t", "", "", {"a"}, {"b"}, {{1, 2}}}), ShapeError);
  CHECK_THROWS_AS(draw(CriticalDifference{"t", {"a"}, {1, 2}, {}}), ShapeError);
  CHECK_THROWS_AS(draw(CriticalDifference{"t", {"a"}, {1}, {{1}}}), ShapeError);
}

TEST_CASE("letters on every colour of a heat map have the contrast that WCAG 2.1 asks for, and the ends are viridis'") {
  CHECK(HeatColour(0).text() == "#440154");
  CHECK(HeatColour(1).text() == "#fde725");
  CHECK(HeatColour(-3).text() == HeatColour(0).text());
  CHECK(HeatColour(7).text() == HeatColour(1).text());
  for (int i = 0; i <= 1000; ++i) {
    const HeatColour colour(i / 1000.0);
    const auto linear = [&](std::size_t at) { return std::pow(std::stoi(colour.text().substr(at, 2), nullptr, 16) / 255.0, 2.2); };
    const double luminance = 0.2126 * linear(1) + 0.7152 * linear(3) + 0.0722 * linear(5);
    const double contrast = colour.letters() == "#fff" ? 1.05 / (luminance + 0.05) : (luminance + 0.05) / 0.05;
    CAPTURE(i);
    REQUIRE(contrast >= 4.5);
  }
}

TEST_CASE("series keep their colours, and start again after the last") {
  for (std::size_t i = 0; i < 8; ++i) {
    CHECK(series_colour(i) == series_colour(i + 8));
    for (std::size_t j = 0; j < i; ++j) CHECK(series_colour(i) != series_colour(j));
  }
}
