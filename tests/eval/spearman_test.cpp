#include "embedpool/eval/spearman.hpp"

#include <doctest/doctest.h>

using namespace embedpool;

TEST_CASE("ranks count from one, and equal values share the mean of theirs") {
  const std::vector<double> values = {3, 1, 3, 2, 3};
  CHECK(average_ranks(values) == std::vector<double>{4, 1, 4, 2, 4});
  CHECK(average_ranks(std::vector<double>{}).empty());
}

TEST_CASE("Spearman's correlation is one for any rising relation and minus one for any falling one") {
  const std::vector<double> x = {0.1, 0.4, 2, 50}, rising = {-7, -1, 0, 0.001}, falling = {9, 8, -1, -400};
  // A handful of values: a few roundings of 2.2e-16 each.
  CHECK(spearman(x, rising) == doctest::Approx(1).epsilon(1e-15));
  CHECK(spearman(x, falling) == doctest::Approx(-1).epsilon(1e-15));
}

TEST_CASE("Spearman's correlation of tied values is Pearson's of their average ranks") {
  // Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: sum of products of deviations 4.5, of squares 4.5 and 5.
  const std::vector<double> x = {0, 1, 1, 2}, y = {5, 6, 7, 8};
  CHECK(spearman(x, y) == doctest::Approx(4.5 / std::sqrt(4.5 * 5)).epsilon(1e-15));
}

TEST_CASE("a correlation with something that never varies, or is not a number, is not a number") {
  const std::vector<double> x = {1, 2, 3}, constant = {4, 4, 4}, broken = {1, std::nan(""), 2};
  CHECK(std::isnan(spearman(x, constant)));
  CHECK(std::isnan(pearson(constant, x)));
  CHECK(std::isnan(spearman(x, broken)));
}

TEST_CASE("lengths that differ, or a single value, are refused") {
  const std::vector<double> three = {1, 2, 3}, two = {1, 2}, one = {1};
  CHECK_THROWS_AS(spearman(three, two), ShapeError);
  CHECK_THROWS_AS(pearson(one, one), ShapeError);
}
