#include <doctest/doctest.h>

#include "embedpool/loss/cosent.hpp"
#include "embedpool/loss/info_nce.hpp"
#include "embedpool/loss/loss_of_batch.hpp"
#include "embedpool/loss/matryoshka.hpp"
#include "embedpool/loss/triplet_or.hpp"
#include "loss/contrastive_problem.hpp"

using namespace embedpool;
using Problem = embedpool::test::ContrastiveProblem;

TEST_CASE("a batch of scored pairs has the loss of its scores, any other the contrastive one") {
  Problem pairs(4, 0, 6, 50), negatives(4, 1, 6, 51);
  const LossOfBatch<InfoNCE, CoSENT> loss{};
  const std::vector<double> scores{0, 3, 1, 2};
  Problem expected = pairs;
  const Matrix<double>&q = pairs.q, &p = pairs.p;
  const double value = CoSENT{}(rows_of(q), rows_of(p), std::span<const double>(scores), rows_of(expected.dq), rows_of(expected.dp));
  CHECK(pairs(loss) == pairs(InfoNCE{}));
  pairs.clear();
  pairs.scores = negatives.scores = scores;
  CHECK(pairs(loss) == value);
  CHECK(pairs.dq == expected.dq);
  CHECK(pairs.dp == expected.dp);
  CHECK(pairs(Matryoshka<LossOfBatch<InfoNCE, CoSENT>>{loss, {6}, {1.0}}) == value);
  CHECK_THROWS_WITH_AS(negatives(loss), doctest::Contains("hard negatives"), ShapeError);
  CHECK_THROWS_WITH_AS(pairs(InfoNCE{}), doctest::Contains("scores"), ShapeError);
  CHECK_THROWS_WITH_AS(negatives(Triplet{}), doctest::Contains("scores"), ShapeError);
  pairs.scores.pop_back();
  CHECK_THROWS_WITH_AS(pairs(loss), doctest::Contains("scores"), ShapeError);
}

TEST_CASE("triplets of unit length see directions alone, and stand in the place of another loss where they are chosen") {
  Problem problem(5, 2, 3, 16), scaled = problem;
  for (Index i = 0; i < 5; ++i) scaled.q.row(i) *= 2.0 + static_cast<double>(i);
  const Triplet units{0.5, true};
  CHECK(problem(units) > 0.0);
  CHECK(problem(units) == doctest::Approx(scaled(units)).epsilon(1e-12));  // rounding of lengths
  CHECK(problem(Triplet{}) != doctest::Approx(scaled(Triplet{})));
  CHECK(problem(TripletOr<InfoNCE>{}) == problem(InfoNCE{}));
  CHECK(problem(TripletOr<InfoNCE>{{}, units}) == problem(units));
}
