#include <doctest/doctest.h>

#include <Eigen/QR>

#include <cmath>

#include "embedpool/loss/info_nce.hpp"
#include "embedpool/loss/matryoshka.hpp"
#include "embedpool/loss/triplet.hpp"
#include "loss/contrastive_problem.hpp"

using namespace embedpool;
using embedpool::test::check_gradients;
using embedpool::test::random_matrix;
using Problem = embedpool::test::ContrastiveProblem;

TEST_CASE("N identical candidates give log N") {
  Problem problem(5, 2, 7, 1);
  for (Index i = 1; i < 5; ++i) problem.p.row(i) = problem.p.row(0);
  for (Index i = 0; i < 10; ++i) problem.n.row(i) = problem.p.row(0);
  CHECK(problem(InfoNCE{}) == doctest::Approx(std::log(15.0)).epsilon(1e-12));  // rounding of a sum of 15 equal terms
}

TEST_CASE("two orthogonal pairs give the hand-worked InfoNCE") {
  Problem problem(2, 0, 2, 1);
  problem.q = problem.p = Matrix<double>::Identity(2, 2);
  InfoNCE loss;
  loss.scale = 3.0;
  CHECK(problem(loss) == doctest::Approx(std::log(1.0 + std::exp(-3.0))).epsilon(1e-14));
}

TEST_CASE("a common rotation leaves every contrastive loss alone") {
  Problem problem(4, 1, 6, 3);
  Problem rotated = problem;
  const Eigen::MatrixXd basis = Eigen::HouseholderQR<Eigen::MatrixXd>(random_matrix(6, 6, 9)).householderQ();
  for (Matrix<double>* m : {&rotated.q, &rotated.p, &rotated.n}) *m = (*m * basis).eval();
  CHECK(problem(InfoNCE{}) == doctest::Approx(rotated(InfoNCE{})).epsilon(1e-12));  // rounding of a 6 x 6 product
  CHECK(problem(Triplet{}) == doctest::Approx(rotated(Triplet{})).epsilon(1e-12));
}

TEST_CASE("the loss of more rows than a block equals the plain formula") {
  Problem problem(130, 3, 5, 4);  // 520 candidates: more than one block both ways
  const double loss = problem(InfoNCE{});
  double expected = 0.0;
  for (Index i = 0; i < 130; ++i) {
    double sum = 0.0;
    for (Index j = 0; j < 130; ++j)
      sum += std::exp(20.0 * problem.q.row(i).normalized().dot(problem.p.row(j).normalized()));
    for (Index j = 0; j < 390; ++j)
      sum += std::exp(20.0 * problem.q.row(i).normalized().dot(problem.n.row(j).normalized()));
    expected += std::log(sum) - 20.0 * problem.q.row(i).normalized().dot(problem.p.row(i).normalized());
  }
  CHECK(loss == doctest::Approx(expected / 130.0).epsilon(1e-12));
}

TEST_CASE("InfoNCE gradients agree with central differences in every variant") {
  InfoNCE plain;
  plain.scale = 5.0;
  check_gradients(plain, Problem(1, 1, 3, 5));
  check_gradients(plain, Problem(5, 0, 3, 6));
  check_gradients(plain, Problem(70, 1, 4, 7));  // larger than a block of rows
  InfoNCE symmetric = plain;
  symmetric.symmetric = true;
  check_gradients(symmetric, Problem(5, 2, 3, 8));
  InfoNCE own = plain;
  own.in_batch = false;
  check_gradients(own, Problem(5, 2, 3, 9));
  InfoNCE dot = plain;
  dot.similarity = Similarity::dot;
  dot.scale = 0.5;
  check_gradients(dot, Problem(5, 2, 3, 10));
  Problem same_documents(6, 2, 4, 11);
  same_documents.documents = {1, 2, 1, 3, 2, 4};
  InfoNCE qwen3 = InfoNCE::qwen3();
  qwen3.scale = 5.0;
  check_gradients(qwen3, same_documents);
  check_gradients(Matryoshka<InfoNCE>{plain, {4, 2}, {1.0, 0.5}}, Problem(5, 1, 4, 12));
  check_gradients(Triplet{}, Problem(5, 2, 3, 13));
  check_gradients(Triplet{0.5, true}, Problem(5, 2, 3, 13));
}

TEST_CASE("the gradient of a learned scale agrees with central differences") {
  Problem problem(5, 2, 4, 14);
  InfoNCE loss;
  auto at = [&](double scale) {
    loss.scale = scale;
    return problem(loss);
  };
  const double numeric = (at(20.0 + 1e-5) - at(20.0 - 1e-5)) / 2e-5;
  loss.scale = 20.0;
  double analytic = 0.0;
  const Matrix<double>&q = problem.q, &p = problem.p, &n = problem.n;
  loss(ContrastiveBatch<double>{rows_of(q), rows_of(p), rows_of(n)},
       ContrastiveGradients<double>{rows_of(problem.dq), rows_of(problem.dp), rows_of(problem.dn)}, analytic);
  CHECK(analytic == doctest::Approx(numeric).epsilon(1e-7));
}

TEST_CASE("forbidding in-batch negatives leaves only a query's own") {
  Problem problem(4, 1, 5, 15);
  InfoNCE own;
  own.in_batch = false;
  const double before = problem(own);
  problem.p.row(3) *= -1.0;  // another query's documents
  problem.n.row(3) *= -1.0;
  const Matrix<double> kept_p = problem.p, kept_n = problem.n;
  double expected = 0.0;
  for (Index i = 0; i < 4; ++i) {
    const double good = 20.0 * problem.q.row(i).normalized().dot(problem.p.row(i).normalized());
    const double bad = 20.0 * problem.q.row(i).normalized().dot(problem.n.row(i).normalized());
    expected += std::log1p(std::exp(bad - good)) / 4.0;
  }
  CHECK(problem(own) == doctest::Approx(expected).epsilon(1e-12));
  CHECK(before != doctest::Approx(expected));
}

TEST_CASE("without in-batch negatives a batch has the mean loss of its queries alone, in every variant") {
  Problem batch(4, 2, 5, 45);
  InfoNCE symmetric, everything = InfoNCE::qwen3();
  symmetric.symmetric = everything.symmetric = true;
  for (InfoNCE loss : {InfoNCE{}, InfoNCE::qwen3(), symmetric, everything}) {
    const double in_batch = batch(loss);
    loss.in_batch = false;
    double mean = 0;
    for (Index i = 0; i < 4; ++i) {
      Problem alone(1, 2, 5, 0);
      alone.q = batch.q.row(i), alone.p = batch.p.row(i), alone.n = batch.n.middleRows(2 * i, 2);
      mean += alone(loss) / 4.0;
    }
    CHECK(batch(loss) == doctest::Approx(mean).epsilon(1e-12));  // rounding of sums of a few terms
    CHECK(batch(loss) < in_batch);
    check_gradients(loss, batch);
  }
}

TEST_CASE("a query's own positive among the hard negatives of others is no negative of that query") {
  Problem batch(3, 1, 5, 46), without = batch;
  batch.n.row(2) = batch.p.row(0);  // of query 2
  batch.documents = {7, 8, 9, 5, 6, 7};
  check_gradients(InfoNCE{5.0}, batch);

  const auto cosine = [&](Index i, const Matrix<double>& of, Index j) { return batch.q.row(i).normalized().dot(of.row(j).normalized()); };
  double expected = 0;
  for (Index i = 0; i < 3; ++i) {
    double sum = 0;
    for (Index j = 0; j < 3; ++j) {
      sum += std::exp(5.0 * cosine(i, batch.p, j));
      if (batch.documents[static_cast<std::size_t>(3 + j)] != batch.documents[static_cast<std::size_t>(i)])
        sum += std::exp(5.0 * cosine(i, batch.n, j));
    }
    expected += (std::log(sum) - 5.0 * cosine(i, batch.p, i)) / 3.0;
  }
  CHECK(batch(InfoNCE{5.0}) == doctest::Approx(expected).epsilon(1e-12));  // rounding of sums of a few terms
  batch.documents.pop_back();
  CHECK_THROWS_WITH_AS(batch(InfoNCE{}), doctest::Contains("document numbers"), ShapeError);
}

TEST_CASE("in float a loss is never below zero, however large the scale") {
  InfoNCE loss;
  loss.scale = 3000;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Matrix<float> q = random_matrix(8, 33, seed).cast<float>(), n = random_matrix(8, 33, seed + 100).cast<float>();
    Matrix<float> dq = 0 * q, dp = dq, dn = dq;
    // Queries that are their positives: the sum is the positive's own term.
    CHECK(loss(ContrastiveBatch<float>{rows_of(q), rows_of(q), rows_of(n)},
               ContrastiveGradients<float>{rows_of(dq), rows_of(dp), rows_of(dn)}) >= 0);
  }
}

TEST_CASE("batches that do not fit are refused by name") {
  Problem problem(3, 1, 4, 40);
  problem.n = random_matrix(4, 4, 41);
  CHECK_THROWS_WITH_AS(problem(InfoNCE{}), doctest::Contains("negatives"), ShapeError);
  Problem narrow(3, 0, 4, 42);
  narrow.p = random_matrix(3, 5, 43);
  CHECK_THROWS_WITH_AS(narrow(InfoNCE{}), doctest::Contains("width of the positives"), ShapeError);
  Problem short_gradient(3, 0, 4, 42);
  short_gradient.dp = random_matrix(2, 4, 43);
  CHECK_THROWS_WITH_AS(short_gradient(InfoNCE{}), doctest::Contains("rows of the gradient of the positives"), ShapeError);
  CHECK_THROWS_WITH_AS(short_gradient(Triplet{}), doctest::Contains("rows of the gradient of the positives"), ShapeError);
  const Matryoshka<InfoNCE> nothing{};
  CHECK_THROWS_WITH_AS(narrow(nothing), doctest::Contains("width of the positives"), ShapeError);
  narrow.p = random_matrix(3, 4, 43);
  CHECK_THROWS_WITH_AS(narrow(nothing), doctest::Contains("dimensions"), ShapeError);
  Problem none(3, 0, 4, 44);
  CHECK_THROWS_WITH_AS(none(Triplet{}), doctest::Contains("hard negatives"), ShapeError);
}
