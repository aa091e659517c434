#include "embedpool/eval/comparison/average_rank.hpp"

#include <doctest/doctest.h>

#include "eval/comparison/tables.hpp"

using namespace embedpool;
using namespace embedpool::test;

using Groups = std::vector<std::vector<int>>;

TEST_CASE("ranks are averaged over data sets, and equal scores share theirs") {
  // Ranks on the first set 1, 2.5, 2.5, on the second 3, 1, 2.
  const ScoreTable table = table_of({{.9, .1}, {.8, .5}, {.8, .3}});
  CHECK(average_rank_of_systems(table, {0, 1}) == std::vector<double>{2, 1.75, 2.25});
  CHECK(average_rank_of_systems(table, {0}) == std::vector<double>{1, 2.5, 2.5});
  CHECK_THROWS_AS(average_rank_of_systems(table, {}), ShapeError);
}

TEST_CASE("systems of which no pair differs are one group, in the order of their ranks") {
  CHECK(groups_not_told_apart({3, 1, 2}, undecided(3), 0.05) == Groups{{1, 2, 0}});
  CHECK(groups_not_told_apart({1}, undecided(1), 0.05).empty());
}

TEST_CASE("a system that differs from all others is in no group") {
  ComparisonFamily family = undecided(3);
  decide(family, 0, 1);
  decide(family, 0, 2);
  CHECK(groups_not_told_apart({1, 2, 3}, family, 0.05) == Groups{{1, 2}});
}

TEST_CASE("groups overlap where neighbours do not differ but the ends do, and none lies inside another") {
  ComparisonFamily family = undecided(4);  // A B C D by rank; A differs from D alone
  decide(family, 0, 3);
  CHECK(groups_not_told_apart({1, 2, 3, 4}, family, 0.05) == Groups{{0, 1, 2}, {1, 2, 3}});
  decide(family, 0, 2);
  CHECK(groups_not_told_apart({1, 2, 3, 4}, family, 0.05) == Groups{{0, 1}, {1, 2, 3}});
  decide(family, 1, 3);
  CHECK(groups_not_told_apart({1, 2, 3, 4}, family, 0.05) == Groups{{0, 1}, {1, 2}, {2, 3}});
}
