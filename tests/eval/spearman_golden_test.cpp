#include <doctest/doctest.h>

#include "embedpool/eval/spearman.hpp"
#include "embedpool/io/json.hpp"
#include "support/golden.hpp"

using namespace embedpool;

TEST_CASE("Spearman's and Pearson's correlations agree with the reference, ties included") {
  const io::Json metrics = io::read_json(test::golden_directory() / "metrics.json");
  REQUIRE(!metrics.at("spearman").empty());
  for (const io::Json& example : metrics.at("spearman")) {
    const auto x = example.at("x").get<std::vector<double>>(), y = example.at("y").get<std::vector<double>>();
    // Both sides compute in double; sums of a hundred terms round to about 1e-14.
    // SciPy sums in another order: n epsilon, with n in the hundreds.
    CHECK(spearman(x, y) == doctest::Approx(example.at("spearman").get<double>()).epsilon(1e-12));
    CHECK(pearson(x, y) == doctest::Approx(example.at("pearson").get<double>()).epsilon(1e-12));
    if (example.contains("rank_x")) CHECK(average_ranks(x) == example.at("rank_x").get<std::vector<double>>());
  }
}
