#include "embedpool/eval/nearest_neighbours.hpp"

#include <doctest/doctest.h>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/search/best_neighbours.hpp"
#include "embedpool/eval/unit_rows_of.hpp"
#include "embedpool/testing/shuffled_executor.hpp"

using namespace embedpool;

namespace {

/// Small whole numbers: sums are exact, and equal scores are common.
Matrix<float> whole_numbers(Index rows, Index cols, std::uint64_t seed) {
  Matrix<float> m(rows, cols);
  for (Index i = 0; i < m.size(); ++i)
    m.data()[i] = static_cast<float>(random_word(seed, static_cast<std::uint32_t>(i)) % 5) - 2;
  return m;
}

/// All scores, sorted.
std::vector<Neighbour> by_definition(const Matrix<float>& queries, Index q, const Matrix<float>& corpus, Index k) {
  std::vector<Neighbour> all;
  for (Index n = 0; n < corpus.rows(); ++n) all.push_back({n, queries.row(q).dot(corpus.row(n))});
  std::stable_sort(all.begin(), all.end(), [](const Neighbour& a, const Neighbour& b) { return a.score > b.score; });
  all.resize(static_cast<std::size_t>(std::min(k, corpus.rows())));
  return all;
}

}  // namespace

TEST_CASE("neighbours are the k largest inner products, ties by the lower row") {
  SerialExecutor serial;
  for (const Index n : {1, 5, 64, 333})
    for (const Index k : {1, 3, 64, 1000}) {
      CAPTURE(n);
      CAPTURE(k);
      const Matrix<float> queries = whole_numbers(131, 7, 1), corpus = whole_numbers(n, 7, 2);
      const auto answers = nearest_neighbours(rows_of(queries), rows_of(corpus), k, serial);
      REQUIRE(answers.size() == 131);
      for (Index q = 0; q < queries.rows(); ++q)
        REQUIRE(answers[static_cast<std::size_t>(q)] == by_definition(queries, q, corpus, k));
    }
}

TEST_CASE("a corpus of equal rows gives the first of them") {
  const Matrix<float> queries = Matrix<float>::Ones(2, 3), corpus = Matrix<float>::Ones(500, 3);
  SerialExecutor serial;
  for (const auto& answer : nearest_neighbours(rows_of(queries), rows_of(corpus), 4, serial))
    CHECK(answer == std::vector<Neighbour>{{0, 3}, {1, 3}, {2, 3}, {3, 3}});
}

TEST_CASE("scores below zero are found, and columns beyond the corpus are not") {
  // The register tile of the last rows is filled up with zeros, which would score more than any row here.
  const Matrix<float> query = Matrix<float>::Ones(1, 2), corpus = Matrix<float>::Constant(3, 2, -1);
  SerialExecutor serial;
  CHECK(nearest_neighbours(rows_of(query), rows_of(corpus), 10, serial)[0] == std::vector<Neighbour>{{0, -2}, {1, -2}, {2, -2}});
}

TEST_CASE("an excluded row is no answer, and costs none") {
  const Matrix<float> queries = whole_numbers(3, 4, 3), corpus = whole_numbers(40, 4, 4);
  SerialExecutor serial;
  const auto all = nearest_neighbours(rows_of(queries), rows_of(corpus), 6, serial);
  const std::vector<Index> excluded = {all[0][2].row, -1, all[2][0].row};
  const auto answers = nearest_neighbours(rows_of(queries), rows_of(corpus), 5, serial, excluded);
  CHECK(answers[0] == std::vector<Neighbour>{all[0][0], all[0][1], all[0][3], all[0][4], all[0][5]});
  CHECK(answers[1] == std::vector<Neighbour>(all[1].begin(), all[1].begin() + 5));
  CHECK(answers[2] == std::vector<Neighbour>(all[2].begin() + 1, all[2].end()));
}

TEST_CASE("a score that is not a number is never found") {
  Matrix<float> corpus = whole_numbers(20, 3, 5);
  corpus.row(7).setConstant(std::nanf(""));
  const Matrix<float> query = Matrix<float>::Ones(1, 3);
  SerialExecutor serial;
  const auto answer = nearest_neighbours(rows_of(query), rows_of(corpus), 20, serial)[0];
  CHECK(answer.size() == 19);
  for (const Neighbour& neighbour : answer) CHECK(neighbour.row != 7);
}

TEST_CASE("answers do not depend on the executor or on other queries, to the bit") {
  Matrix<float> queries = Matrix<float>::Random(301, 33), corpus = Matrix<float>::Random(777, 33);
  SerialExecutor serial;
  ThreadPool pool(3);
  testing::ShuffledExecutor shuffled(4);
  const auto one = nearest_neighbours(rows_of(std::as_const(queries)), rows_of(std::as_const(corpus)), 10, serial);
  CHECK(one == nearest_neighbours(rows_of(std::as_const(queries)), rows_of(std::as_const(corpus)), 10, pool));
  CHECK(one == nearest_neighbours(rows_of(std::as_const(queries)), rows_of(std::as_const(corpus)), 10, shuffled));
  const Matrix<float> alone = queries.row(200);
  CHECK(one[200] == nearest_neighbours(rows_of(alone), rows_of(std::as_const(corpus)), 10, serial)[0]);
}

TEST_CASE("few queries and many workers search parts of the corpus, with the same answers") {
  const Matrix<float> queries = whole_numbers(5, 3, 6), corpus = whole_numbers(20'001, 3, 7);  // nearly all scores tie
  SerialExecutor serial;
  ThreadPool pool(4);
  for (const Index k : {1, 40, 30'000}) {
    const auto one = nearest_neighbours(rows_of(queries), rows_of(corpus), k, serial);
    for (Index q = 0; q < queries.rows(); ++q) REQUIRE(one[static_cast<std::size_t>(q)] == by_definition(queries, q, corpus, k));
    REQUIRE(one == nearest_neighbours(rows_of(queries), rows_of(corpus), k, pool));
  }
}

TEST_CASE("candidates as whole numbers are in the order of neighbours") {
  const std::vector<Neighbour> rising = {{5, std::numeric_limits<float>::infinity()}, {2, 3.5f}, {3, 3.5f}, {0, 1e-40f},
                                         {4'000'000'000, 0.0f}, {9, -1e-40f}, {1, -2}, {0, -std::numeric_limits<float>::max()}};
  for (std::size_t i = 0; i < rising.size(); ++i) {
    CHECK(detail::neighbour_of(detail::neighbour_key(rising[i].score, rising[i].row)) == rising[i]);
    if (i > 0)
      CHECK(detail::neighbour_key(rising[i - 1].score, rising[i - 1].row) < detail::neighbour_key(rising[i].score, rising[i].row));
  }
  CHECK(detail::neighbour_key(-0.0f, 7) == detail::neighbour_key(0.0f, 7));  // equal scores tie
}

TEST_CASE("gathered neighbours are the best in whatever order they come, and what is below the bound stays out") {
  detail::BestNeighbours best(2, 2);
  CHECK(best.bound(0) == -std::numeric_limits<float>::infinity());
  std::vector<Neighbour> all;
  for (Index row = 200; row-- > 0;) {  // enough to be cut to the best more than once, the lower row of a tie coming last
    const float score = static_cast<float>((row * 37) % 50);
    best.add(1, row, &score, 1);
    all.push_back({row, score});
  }
  std::sort(all.begin(), all.end());
  CHECK(best.sorted(1) == std::vector<Neighbour>(all.begin(), all.begin() + 2));
  CHECK(best.bound(1) >= 48);  // the second best of the 66 rows of the first cut, among which is every score
  CHECK(best.sorted(0).empty());
  best.clear();
  CHECK(best.bound(1) == -std::numeric_limits<float>::infinity());
  CHECK(best.sorted(1).empty());
}

TEST_CASE("unit rows have length one, and a row of zeros stays zero") {
  Matrix<float> x(3, 2);
  x << 3, 4, 0, 0, -5, 0;
  const Matrix<float> unit = unit_rows_of(rows_of(std::as_const(x)), std::vector<Index>{2, 0, 1, 2});
  Matrix<float> expected(4, 2);
  expected << -1, 0, 0.6f, 0.8f, 0, 0, -1, 0;
  CHECK(unit == expected);
  CHECK_THROWS_AS(unit_rows_of(rows_of(std::as_const(x)), std::vector<Index>{3}), ShapeError);
}

TEST_CASE("an empty corpus has no neighbours, and shapes that do not fit are refused") {
  const Matrix<float> queries(2, 3), other(4, 2), none(0, 3);
  SerialExecutor serial;
  CHECK(nearest_neighbours(rows_of(queries), rows_of(none), 3, serial)[1].empty());
  CHECK_THROWS_AS(nearest_neighbours(rows_of(queries), rows_of(other), 3, serial), ShapeError);
  CHECK_THROWS_AS(nearest_neighbours(rows_of(queries), rows_of(queries), 0, serial), ShapeError);
}
