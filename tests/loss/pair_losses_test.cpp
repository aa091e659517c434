#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "embedpool/loss/any_pair_loss.hpp"
#include "embedpool/loss/distillation.hpp"
#include "embedpool/loss/matryoshka.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "support/random_matrix.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using embedpool::test::random_matrix;

TEST_CASE("pair losses agree with central differences") {
  Matrix<double> a = random_matrix(7, 6, 20), b = random_matrix(7, 6, 21);
  const std::vector<double> labels{0, 1, 1, 3, 2, 5, 0};
  auto check = [&](const auto& loss) {
    auto run = [&](Matrix<double>& da, Matrix<double>& db) {
      const Matrix<double>&ca = a, &cb = b;
      return loss(rows_of(ca), rows_of(cb), std::span<const double>(labels), rows_of(da), rows_of(db));
    };
    Matrix<double> da = Matrix<double>::Zero(7, 6), db = da, unused = da;
    run(da, db);
    auto value = [&] { return run(unused, unused); };
    CHECK(testing::relative_error(da, testing::numeric_gradient(a, value)) < 1e-6);  // as above: scale^3
    CHECK(testing::relative_error(db, testing::numeric_gradient(b, value)) < 1e-6);
  };
  check(CoSENT{5.0});
  check(AnglE{5.0});
  check(CosineMSE{});
  check(Matryoshka<CoSENT>{{5.0}, {6, 3}, {1.0, 0.5}});
  check(Matryoshka<AnglE>{{5.0}, {2, 4}, {0.7, 0.5}});
  check(Matryoshka<CosineMSE>{{}, {6, 1}, {1.0, 2.0}});
  check(Matryoshka<AnyPairLoss>{AnyPairLoss::parse("angle", 5.0), {4, 6}, {1.0, 0.5}});
}

TEST_CASE("Matryoshka over a pair loss or distillation is the weighted sum of the loss on cut embeddings") {
  const Matrix<double> a = random_matrix(4, 6, 22), b = random_matrix(4, 6, 23), teacher = random_matrix(2, 2, 24);
  const std::vector<double> labels{0.1, 0.9, 0.4, 0.2};
  const auto check = [&](const auto& loss, const Matrix<double>& x, const auto& target) {
    const auto run = [&](const auto& of, Index width) {
      Matrix<double> dx = Matrix<double>::Zero(x.rows(), 6), db = Matrix<double>::Zero(4, 6);
      return of(rows_of(x).middle_cols(0, width), rows_of(b).middle_cols(0, width), target,
                rows_of(dx).middle_cols(0, width), rows_of(db).middle_cols(0, width));
    };
    const Matryoshka<std::decay_t<decltype(loss)>> nested{loss, {2, 6}, {0.25, 1.0}};
    CHECK(run(nested, 6) == doctest::Approx(0.25 * run(loss, 2) + run(loss, 6)).epsilon(1e-14));
    const Matryoshka<std::decay_t<decltype(loss)>> wide{loss, {2, 8}, {0.25, 1.0}}, unweighted{loss, {2}, {}};
    CHECK_THROWS_WITH_AS(run(wide, 6), doctest::Contains("dimension"), ShapeError);
    CHECK_THROWS_WITH_AS(run(unweighted, 6), doctest::Contains("weights"), ShapeError);
  };
  check(CoSENT{}, a, std::span<const double>(labels));
  check(AnglE{}, a, std::span<const double>(labels));
  check(CosineMSE{}, a, std::span<const double>(labels));
  const Matrix<double> queries = a.topRows(2);
  check(DistillationKL{}, queries, rows_of(teacher));
}

TEST_CASE("a pair loss is chosen by name") {
  for (const std::string name : {"cosent", "angle", "cosine-mse"}) CHECK(AnyPairLoss::parse(name).name() == name);
  CHECK_THROWS_WITH_AS(AnyPairLoss::parse("cosine"), doctest::Contains("cosent, angle or cosine-mse"), ShapeError);
  CHECK(std::get<CoSENT>(AnyPairLoss::parse("cosent", 7.0).choice).scale == 7.0);
  CHECK(std::get<AnglE>(AnyPairLoss::parse("angle", 7.0).choice).scale == 7.0);
}

TEST_CASE("distillation gradients agree with central differences, and a perfect student has none") {
  Matrix<double> q = random_matrix(3, 5, 30), c = random_matrix(12, 5, 31), teacher = random_matrix(3, 4, 32);
  const DistillationKL loss{5.0, 2.0};
  auto run = [&](Matrix<double>& dq, Matrix<double>& dc) {
    const Matrix<double>&cq = q, &cc = c, &ct = teacher;
    return loss(rows_of(cq), rows_of(cc), rows_of(ct), rows_of(dq), rows_of(dc));
  };
  Matrix<double> dq = Matrix<double>::Zero(3, 5), dc = Matrix<double>::Zero(12, 5);
  run(dq, dc);
  Matrix<double> uq = dq, uc = dc;
  auto value = [&] { return run(uq, uc); };
  CHECK(testing::relative_error(dq, testing::numeric_gradient(q, value)) < 1e-6);
  CHECK(testing::relative_error(dc, testing::numeric_gradient(c, value)) < 1e-6);

  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 4; ++j)
      teacher(i, j) = 2.0 * 5.0 * q.row(i).normalized().dot(c.row(i * 4 + j).normalized());
  dq.setZero();
  dc.setZero();
  CHECK(run(dq, dc) == doctest::Approx(0.0));
  CHECK(dq.cwiseAbs().maxCoeff() < 1e-12);  // rounding of terms of size 5
}

TEST_CASE("a candidate that the teacher rules out takes no part in the loss, and is pushed away") {
  const Matrix<double> q = random_matrix(1, 5, 33), c = random_matrix(3, 5, 34);
  Matrix<double> teacher = random_matrix(1, 3, 35), dq = Matrix<double>::Zero(1, 5), dc = Matrix<double>::Zero(3, 5);
  const DistillationKL loss{5.0, 1.0};
  teacher(0, 1) = -1000.0;  // next to nothing
  const double nearly = loss(rows_of(q), rows_of(c), rows_of(std::as_const(teacher)), rows_of(dq), rows_of(dc));
  teacher(0, 1) = -std::numeric_limits<double>::infinity();
  CHECK(loss(rows_of(q), rows_of(c), rows_of(std::as_const(teacher)), rows_of(dq), rows_of(dc)) == nearly);
}

TEST_CASE("pairs and gradients that do not fit are refused by name") {
  const Matrix<double> a = random_matrix(3, 6, 36), narrow = random_matrix(3, 4, 37), few = random_matrix(2, 6, 38);
  const std::vector<double> labels{1, 2, 3};
  Matrix<double> da = Matrix<double>::Zero(3, 6), db = da, narrow_gradient = Matrix<double>::Zero(3, 4), few_gradients = Matrix<double>::Zero(2, 6);
  const auto refusal = [&](const auto& loss, const Matrix<double>& b, std::size_t count, Matrix<double>& gradient) {
    return test::refusal([&] {
      loss(rows_of(a), rows_of(b), std::span(labels).first(count), rows_of(da), rows_of(gradient));
    });
  };
  const auto check = [&](const auto& loss) {
    CHECK(refusal(loss, narrow, 3, narrow_gradient).find("width of b") != std::string::npos);
    CHECK(refusal(loss, few, 3, few_gradients).find("rows of b") != std::string::npos);
    CHECK(refusal(loss, a, 2, db).find("labels") != std::string::npos);
    CHECK(refusal(loss, a, 3, narrow_gradient).find("width of the gradient of b") != std::string::npos);
  };
  check(CoSENT{});
  check(AnglE{});
  check(CosineMSE{});
  check(Matryoshka<CoSENT>{{}, {4}, {1.0}});

  const Matrix<double> none(3, 0), scores = random_matrix(3, 1, 39);
  const DistillationKL distillation{};
  const auto of_teacher = [&](const Matrix<double>& candidates, const Matrix<double>& teacher, Matrix<double>& gradient) {
    return test::refusal(
        [&] { distillation(rows_of(a), rows_of(candidates), rows_of(teacher), rows_of(da), rows_of(gradient)); });
  };
  CHECK(of_teacher(narrow, scores, narrow_gradient).find("width of the candidates") != std::string::npos);
  CHECK(of_teacher(a, scores, narrow_gradient).find("width of the gradient of the candidates") != std::string::npos);
  CHECK(of_teacher(a, none, db).find("candidates of a query") != std::string::npos);
}
