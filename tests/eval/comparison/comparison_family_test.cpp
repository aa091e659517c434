#include "embedpool/eval/comparison/comparison_family.hpp"

#include <doctest/doctest.h>

#include "eval/comparison/tables.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

/// `a` is ahead of the others on each of `sets` data sets, by 0.01, 0.02, ...
ScoreTable ahead(int systems, int sets) {
  std::vector<std::vector<double>> scores(static_cast<std::size_t>(systems));
  for (int s = 0; s < systems; ++s)
    for (int t = 0; t < sets; ++t) scores[static_cast<std::size_t>(s)].push_back(0.5 - 0.01 * s * (t + 1));
  return table_of(scores);
}

ComparisonFamily over_all(const ScoreTable& table) {
  SerialExecutor serial;
  return compare_over_data_sets(table, table.tasks_of(""), "all", ExecutorRef(serial));
}

}  // namespace

TEST_CASE("two systems that differ on each of five data sets are not called different: p cannot be below 1/16") {
  const ComparisonFamily family = over_all(ahead(2, 5));
  REQUIRE(family.comparisons.size() == 1);
  CHECK(family.comparisons[0].adjusted_p == 0.0625);
  CHECK(family.verdict(0, 0.05) == Verdict::impossible);
  CHECK(family.sign(0, 1, 0.05) == 0);
  const std::string limit = family.limit(0.05);
  CAPTURE(limit);
  for (const char* part : {"5 data sets", "0.05", "0.0625", "no difference can be significant"})
    CHECK(limit.find(part) != std::string::npos);
}

TEST_CASE("six data sets are enough for two systems, and too few for the three pairs of three") {
  const ComparisonFamily two = over_all(ahead(2, 6));
  CHECK(two.verdict(0, 0.05) == Verdict::significant);  // 1/32
  CHECK(two.sign(0, 1, 0.05) == 1);
  CHECK(two.sign(1, 0, 0.05) == -1);
  CHECK(two.limit(0.05).empty());
  const ComparisonFamily three = over_all(ahead(3, 6));
  REQUIRE(three.comparisons.size() == 3);
  CHECK(three.comparisons[0].adjusted_p == 0.09375);  // 3/32
  CHECK(three.verdict(0, 0.05) == Verdict::impossible);
  CHECK(three.limit(0.05).find("0.0938") != std::string::npos);
  CHECK(over_all(ahead(3, 7)).verdict(0, 0.05) == Verdict::significant);  // 3/64
}

TEST_CASE("a pair with a difference on few data sets is undecidable beside pairs that can be decided") {
  // B differs from A on seven sets, C from A on one alone.
  const ScoreTable table = table_of({{.5, .5, .5, .5, .5, .5, .5}, {.1, .2, .3, .15, .25, .35, .45}, {.5, .5, .5, .5, .5, .5, .4}});
  const ComparisonFamily family = over_all(table);
  REQUIRE(family.pairs[1] == std::pair<Index, Index>(0, 2));
  CHECK(family.verdict(0, 0.05) == Verdict::significant);
  CHECK(family.verdict(1, 0.05) == Verdict::impossible);
  CHECK(family.can_decide(0.05));
  CHECK(family.limit(0.05).empty());
}

TEST_CASE("inside a data set items are compared, averaged over seeds") {
  ScoreTable table({"a", "b"}, {{"retrieval", "R", "ndcg_at_10", "query", "ndcg_at_10"}}, 2);
  std::vector<double> high, low;
  for (int i = 0; i < 8; ++i) {
    high.push_back(0.5 + 0.01 * i);
    low.push_back(0.4);
  }
  // What b loses with one seed it wins with the other, but for 0.02 on each item.
  table.add(0, 0, 0, 0.5, high);
  table.add(0, 0, 1, 0.4, low);
  for (double& x : high) x -= 0.04;
  table.add(1, 0, 0, 0.4, low);
  table.add(1, 0, 1, 0.5, high);
  SerialExecutor serial;
  const ComparisonFamily family = compare_within_data_set(table, 0, ExecutorRef(serial));
  CHECK(family.items == "queries");
  CHECK(family.scope == "R");
  CHECK(family.comparisons[0].median_difference == doctest::Approx(0.02));
  CHECK(family.comparisons[0].test.n == 8);
  CHECK(family.sign(0, 1, 0.05) == 1);  // 2^-7
  CHECK(family.comparisons[0].mean_difference.low == doctest::Approx(0.02));  // all differences are equal
}
