#include <doctest/doctest.h>

#include <Eigen/QR>

#include <cmath>

#include "embedpool/loss/any_pair_loss.hpp"
#include "embedpool/loss/distillation.hpp"
#include "embedpool/loss/info_nce.hpp"
#include "embedpool/loss/loss_of_batch.hpp"
#include "embedpool/loss/matryoshka.hpp"
#include "embedpool/loss/triplet_or.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "support/random_matrix.hpp"

using namespace embedpool;
using embedpool::test::random_matrix;

namespace {

/// A contrastive batch with its gradients, owned.
struct Problem {
  Matrix<double> q, p, n;
  std::vector<std::int64_t> documents;
  std::vector<double> scores;
  Matrix<double> dq, dp, dn;

  Problem(Index queries, Index negatives, Index width, unsigned seed)
      : q(random_matrix(queries, width, seed)), p(random_matrix(queries, width, seed + 1)),
        n(random_matrix(queries * negatives, width, seed + 2)) {
    clear();
  }
  void clear() {
    dq = Matrix<double>::Zero(q.rows(), q.cols());
    dp = Matrix<double>::Zero(p.rows(), p.cols());
    dn = Matrix<double>::Zero(n.rows(), n.cols());
  }
  template <class Loss>
  double operator()(const Loss& loss) {
    const Matrix<double>&cq = q, &cp = p, &cn = n;
    return loss(ContrastiveBatch<double>{rows_of(cq), rows_of(cp), rows_of(cn), documents, 0, scores},
                ContrastiveGradients<double>{rows_of(dq), rows_of(dp), rows_of(dn)});
  }
};

template <class Loss>
void check_gradients(const Loss& loss, Problem problem) {
  problem.clear();
  problem(loss);
  const Matrix<double> dq = problem.dq, dp = problem.dp, dn = problem.dn;
  auto value = [&] { return problem(loss); };
  // Error of the difference quotient: step^2 + epsilon / step, about 1e-10, times the third derivative (scale^3).
  CHECK(testing::relative_error(dq, testing::numeric_gradient(problem.q, value)) < 1e-6);
  CHECK(testing::relative_error(dp, testing::numeric_gradient(problem.p, value)) < 1e-6);
  if (problem.n.rows() > 0) CHECK(testing::relative_error(dn, testing::numeric_gradient(problem.n, value)) < 1e-6);
}

}  // namespace

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

TEST_CASE("batches that do not fit are refused by name") {
  Problem problem(3, 1, 4, 40);
  problem.n = random_matrix(4, 4, 41);
  CHECK_THROWS_WITH_AS(problem(InfoNCE{}), doctest::Contains("negatives"), ShapeError);
  Problem narrow(3, 0, 4, 42);
  narrow.p = random_matrix(3, 5, 43);
  CHECK_THROWS_WITH_AS(narrow(InfoNCE{}), doctest::Contains("width of the positives"), ShapeError);
  Problem none(3, 0, 4, 44);
  CHECK_THROWS_WITH_AS(none(Triplet{}), doctest::Contains("hard negatives"), ShapeError);
}
