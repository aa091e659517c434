#include "embedpool/eval/comparison/recommendation.hpp"

#include <doctest/doctest.h>

#include "eval/comparison/tables.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

struct Case {
  ScoreTable table;
  ComparisonFamily over = undecided(static_cast<int>(table.system_count()));
  std::vector<ComparisonFamily> within{table.tasks().size(), over};
  std::vector<Index> parameters = std::vector<Index>(table.systems().size(), 10);

  Recommendation recommend() const { return embedpool::recommend(table, "sts", over, within, parameters, 0.05); }
};

bool says(const Recommendation& recommendation, const std::string& words) {
  CAPTURE(recommendation.text);
  const bool found = recommendation.text.find(words) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace

TEST_CASE("where nothing is shown the fewest parameters are taken of those that are as good with some seed") {
  ScoreTable table({"A", "B", "C"}, {{"sts", "S", "m"}}, 2);
  const double scores[3][2] = {{.5, .5}, {.8, .6}, {.7, .61}};
  for (Index s = 0; s < 3; ++s)
    for (Index k = 0; k < 2; ++k) table.add(s, 0, k, scores[s][k], {});
  Case of{table};
  of.parameters = {5, 30, 20};
  const Recommendation result = of.recommend();
  CHECK(result.best == 1);
  CHECK(result.level == std::vector<Index>{0, 1, 2});
  CHECK(result.choice == 2);  // A trains fewer, but is lower with both
  says(result, "No difference that this data can show between the 3 systems");
  says(result, "take \"C\" (65.5), which trains fewer parameters and is as good with some seed.");
}

TEST_CASE("of systems that train equally few parameters the one with the highest mean is taken, wherever it stands") {
  ScoreTable table({"A", "B", "C", "D"}, {{"sts", "S", "m"}}, 2);
  const double scores[4][2] = {{.7, .7}, {.71, .5}, {.71, .65}, {.71, .6}};
  for (Index s = 0; s < 4; ++s)
    for (Index k = 0; k < 2; ++k) table.add(s, 0, k, scores[s][k], {});
  Case of{table};
  of.parameters = {30, 10, 10, 10};
  CHECK(of.recommend().best == 0);
  CHECK(of.recommend().choice == 2);
  says(of.recommend(), "take \"C\" (68.0), which trains fewer parameters and is as good with some seed.");
}

TEST_CASE("a cheaper system that is lower with every seed is not recommended for its price") {
  Case of{table_of({{.5, .5}, {.7, .7}, {.6, .6}}, 3)};
  of.parameters = {5, 30, 20};
  CHECK(of.recommend().choice == 1);
  says(of.recommend(), "Of these take \"B\" (70.0): those that train fewer parameters are lower with every seed.");
  of.parameters = {30, 30, 30};
  says(of.recommend(), "Of these take \"B\" (70.0), as none trains fewer parameters.");
}

TEST_CASE("one that is better than all others is recommended alone") {
  Case of{table_of({{.5, .5}, {.7, .7}, {.6, .6}}, 2)};
  decide(of.over, 1, 0);
  decide(of.over, 1, 2);
  const Recommendation result = of.recommend();
  CHECK(result.level == std::vector<Index>{1});
  CHECK(result.choice == 1);
  says(result, "\"B\" (70.0) is better than all others: \"A\" and \"C\".");
}

TEST_CASE("tests inside data sets tell systems apart when most sets agree and none says the contrary") {
  Case of{table_of({{.7, .7, .7}, {.5, .5, .6}}, 2)};
  decide(of.within[0], 0, 1);
  CHECK(of.recommend().level.size() == 2);  // one of three
  decide(of.within[1], 0, 1);
  CHECK(of.recommend().level == std::vector<Index>{0});
  decide(of.within[2], 1, 0);
  CHECK(of.recommend().level.size() == 2);
}

TEST_CASE("a system that wins with one seed is not told apart from the best, whatever the test says") {
  ScoreTable table({"A", "B"}, {{"sts", "S", "m"}}, 2);
  table.add(0, 0, 0, 0.9, {});
  table.add(0, 0, 1, 0.4, {});
  table.add(1, 0, 0, 0.5, {});
  table.add(1, 0, 1, 0.5, {});
  Case of{table};
  decide(of.over, 0, 1);
  decide(of.within[0], 0, 1);
  CHECK(of.recommend().level == std::vector<Index>{0, 1});
}

TEST_CASE("of a group at the top the cheapest is taken, and the best where all cost the same") {
  Case of{table_of({{.7}, {.7}, {.1}}, 2)};
  decide(of.within[0], 0, 2);
  CHECK(of.recommend().choice == 0);
  of.parameters = {10, 9, 1};
  const Recommendation result = of.recommend();
  CHECK(result.choice == 1);  // the third costs least, but is worse
  says(result, "\"A\" (70.0) has the highest mean, and is better than \"C\"; no difference that this data can show to \"B\".");
  says(result, "take \"B\" (70.0), which trains fewer parameters");
}

TEST_CASE("where no outcome could decide the best is named, not the cheapest, and the text says so") {
  Case of{table_of({{.5}, {.7}, {.6}}, 3)};
  of.parameters = {5, 30, 20};
  for (ComparisonFamily* family : {&of.over, &of.within[0]})
    for (Comparison& comparison : family->comparisons) comparison.test = {};
  const Recommendation result = of.recommend();
  CHECK_FALSE(result.decidable);
  CHECK(result.choice == 1);
  says(result, "Too little data to tell any two systems apart, whatever the scores: \"B\" (70.0) has the highest mean");
}

TEST_CASE("a recommendation from one seed says that it is one") {
  says(Case{table_of({{.7}, {.69}})}.recommend(), "One seed");
}

TEST_CASE("families and parameters that do not fit are refused") {
  Case of{table_of({{.7}, {.6}})};
  of.parameters.pop_back();
  CHECK_THROWS_AS(of.recommend(), ShapeError);
  of.parameters = {1, 1};
  of.within.clear();
  CHECK_THROWS_AS(of.recommend(), ShapeError);
}
