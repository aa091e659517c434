#include "embedpool/eval/comparison/score_table.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "embedpool/eval/comparison/spread.hpp"
#include "embedpool/eval/comparison/stars.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using embedpool::test::refusal;

namespace {

ScoreTable two_by_three() {
  return ScoreTable({"mean", "last"}, {{"sts", "S1", "m"}, {"retrieval", "R1", "m"}, {"sts", "S2", "m"}}, 2);
}

}  // namespace

TEST_CASE("means are over seeds, and of a kind over its data sets, seed by seed") {
  ScoreTable table = two_by_three();
  for (Index k = 0; k < 2; ++k)
    for (Index t = 0; t < 3; ++t) {
      table.add(0, t, k, 0.25 * static_cast<double>(t) + 0.5 * static_cast<double>(k), {0.5 * static_cast<double>(k), 1});
      table.add(1, t, k, 0, {0, 0});
    }
  table.require_complete();
  CHECK(table.kinds() == std::vector<std::string>{"sts", "retrieval"});
  CHECK(table.tasks_of("sts") == std::vector<Index>{0, 2});
  CHECK(table.tasks_of("") == std::vector<Index>{0, 1, 2});
  CHECK(table.mean(0, 2) == 0.75);                                          // (0.5 + 1) / 2
  CHECK(table.by_seed(0, 2) == std::vector<double>{0.5, 1});
  CHECK(table.by_seed(0, table.tasks_of("sts")) == std::vector<double>{0.25, 0.75});  // (0 + 0.5) / 2, (0.5 + 1) / 2
  CHECK(table.mean_items(0, 1) == std::vector<double>{0.25, 1});
}

TEST_CASE("a score that is missing is an error that names system, seed and data set") {
  ScoreTable table = two_by_three();
  for (Index s = 0; s < 2; ++s)
    for (Index t = 0; t < 3; ++t)
      for (Index k = 0; k < 2; ++k)
        if (!(s == 1 && t == 2 && k == 1)) table.add(s, t, k, 0.5, {});
  const std::string message = refusal([&] { table.require_complete(); });
  CAPTURE(message);
  for (const char* part : {"'last'", "seed 1", "S2", "missing"}) CHECK(message.find(part) != std::string::npos);
  table.add(1, 2, 1, 0.5, {});
  CHECK_NOTHROW(table.require_complete());
}

TEST_CASE("scores that stand twice, are no number or have other items than those of other systems are refused by name") {
  ScoreTable table = two_by_three();
  table.add(0, 0, 0, 0.5, {1, 2});
  CHECK(refusal([&] { table.add(0, 0, 0, 0.5, {1, 2}); }).find("stands twice") != std::string::npos);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal([&] { table.add(0, 1, 0, nan, {}); }).find("R1 is not a finite number") != std::string::npos);
  CHECK(refusal([&] { table.add(0, 1, 0, 0, {nan}); }).find("R1 is not a finite number") != std::string::npos);
  const std::string items = refusal([&] { table.add(1, 0, 1, 0.5, {1}); });
  CHECK(items.find("system 'last', seed 1, on S1 has 1 items, that of mean has 2") != std::string::npos);
  CHECK_THROWS_AS(table.add(2, 0, 0, 0, {}), ShapeError);
  CHECK_THROWS_AS(ScoreTable({"a", "b", "a"}, {{"sts", "S", "m"}}, 1), ShapeError);
  CHECK_THROWS_AS(ScoreTable({"a"}, {}, 1), ShapeError);
  CHECK_THROWS_AS(ScoreTable({"a"}, {{"sts", "S", "m"}}, 0), ShapeError);
}

TEST_CASE("the spread of seeds is their sample deviation, and 0 for one seed") {
  const Spread spread = spread_of(std::vector<double>{1, 2, 4});
  CHECK(spread.mean == doctest::Approx(7.0 / 3));
  CHECK(spread.deviation == doctest::Approx(std::sqrt(7.0 / 3)));  // (16 + 1 + 25) / 9 / 2
  CHECK(spread.low == 1);
  CHECK(spread.high == 4);
  CHECK(spread_of(std::vector<double>{3}).deviation == 0);
  CHECK_THROWS_AS(spread_of({}), ShapeError);
}

TEST_CASE("stars stand for 0.05, 0.01 and 0.001, each reached by being equal") {
  CHECK(stars(0.0501) == "");
  CHECK(stars(0.05) == "*");
  CHECK(stars(0.0101) == "*");
  CHECK(stars(0.01) == "**");
  CHECK(stars(0.00101) == "**");
  CHECK(stars(0.001) == "***");
  CHECK(stars(0) == "***");
}
