#include <doctest/doctest.h>

#include <Eigen/QR>

#include <cmath>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "embedpool/loss/cosent.hpp"
#include "embedpool/loss/info_nce.hpp"
#include "embedpool/loss/joined_teachers.hpp"
#include "embedpool/loss/loss_of_batch.hpp"
#include "embedpool/loss/matryoshka.hpp"
#include "embedpool/loss/similarity_distillation.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "support/random_matrix.hpp"

using namespace embedpool;
using embedpool::test::random_matrix;

namespace {

/// Loss and gradient of distilled similarities.
double distilled(const SimilarityDistillation& loss, const Matrix<double>& x, const Matrix<double>& teacher, Matrix<double>& dx) {
  dx = Matrix<double>::Zero(x.rows(), x.cols());
  return loss(rows_of(x), rows_of(teacher), rows_of(dx));
}

}  // namespace

TEST_CASE("distilled similarities are those of the plain formula, with its gradients") {
  const SimilarityDistillation loss{3.0};
  for (const Index texts : {2, 5, 67}) {  // 67: more than a block
    CAPTURE(texts);
    Matrix<double> x = random_matrix(texts, 3, 60), dx, unused;
    const Matrix<double> teacher = random_matrix(texts, 4, 61);
    double expected = 0;
    for (Index i = 0; i < texts; ++i) {
      double q_sum = 0, p_sum = 0;
      const auto term = [&](const Matrix<double>& m, Index j) {
        return std::exp(3.0 * m.row(i).normalized().dot(m.row(j).normalized()));
      };
      for (Index j = 0; j < texts; ++j)
        if (j != i) q_sum += term(x, j), p_sum += term(teacher, j);
      for (Index j = 0; j < texts; ++j) {
        if (j == i) continue;
        const double p = term(teacher, j) / p_sum;
        expected += p * std::log(p / (term(x, j) / q_sum)) / static_cast<double>(texts);
      }
    }
    CHECK(distilled(loss, x, teacher, dx) == doctest::Approx(expected).epsilon(1e-12));
    // With two texts each has one other, whose share is 1 whatever the cosine: both sides are 0.
    const Matrix<double> numeric = testing::numeric_gradient(x, [&] { return distilled(loss, x, teacher, unused); });
    if (texts == 2) CHECK(dx.cwiseAbs().maxCoeff() < 1e-15);
    else CHECK(testing::relative_error(dx, numeric) < 1e-6);
  }
}

TEST_CASE("a student that is its teacher turned and scaled has nothing to learn, and a lone text neither") {
  const Matrix<double> x = random_matrix(6, 5, 62), turn = Eigen::HouseholderQR<Matrix<double>>(random_matrix(5, 5, 63)).householderQ();
  const Matrix<double> teacher = 7.0 * x * turn;
  Matrix<double> dx;
  CHECK(distilled({}, x, teacher, dx) == doctest::Approx(0.0));
  CHECK(dx.cwiseAbs().maxCoeff() < 1e-12);  // rounding of terms of size 20
  CHECK(distilled({}, x.topRows(1), teacher.topRows(1), dx) == 0.0);
  CHECK_THROWS_WITH_AS(distilled({}, x, teacher.topRows(5), dx), doctest::Contains("rows of the teacher"), ShapeError);
}

TEST_CASE("any scale gives a number: what is far from the nearest text counts for nothing") {
  const Matrix<double> x = random_matrix(5, 4, 64), teacher = random_matrix(5, 4, 65);
  Matrix<double> dx;
  CHECK(distilled({1e4}, x, teacher, dx) > 0.0);
  CHECK(std::isfinite(distilled({1e4}, x, teacher, dx)));
  CHECK(dx.allFinite());
}

#ifdef _OPENMP
TEST_CASE("distilled similarities have the same bits for any number of threads that Eigen may use") {
  const Matrix<double> x = random_matrix(150, 1200, 66), teacher = random_matrix(150, 900, 67);
  const int before = omp_get_max_threads();
  Matrix<double> dx[2];
  double loss[2];
  for (const int i : {0, 1}) {
    omp_set_num_threads(i == 0 ? 1 : 4);
    loss[i] = distilled({}, x, teacher, dx[i]);
  }
  omp_set_num_threads(before);
  CHECK(loss[0] == loss[1]);
  CHECK((dx[0] == dx[1]));  // not printed: 180,000 values
}
#endif

TEST_CASE("a batch with a teacher has the loss of all its texts' similarities") {
  const LossOfBatch<InfoNCE, CoSENT> loss{};
  const Matrix<double> all = random_matrix(12, 4, 70);
  const Matrix<float> teacher = random_matrix(12, 5, 71).cast<float>();
  const Rows<const double> x = rows_of(all);
  ContrastiveBatch<double> batch{x.middle_rows(0, 3), x.middle_rows(3, 3), x.middle_rows(6, 6)};
  batch.teacher = rows_of(teacher);
  Matrix<double> gradient, dx;
  const auto run = [&](const auto& chosen) {
    gradient = Matrix<double>::Zero(12, 4);
    const Rows<double> g = rows_of(gradient);
    return chosen(batch, ContrastiveGradients<double>{g.middle_rows(0, 3), g.middle_rows(3, 3), g.middle_rows(6, 6)});
  };
  CHECK(run(loss) == distilled(loss.distilled, all, teacher.cast<double>(), dx));
  CHECK(gradient == dx);
  CHECK(run(Matryoshka<LossOfBatch<InfoNCE, CoSENT>>{loss, {3}, {1.0}}) ==
        distilled(loss.distilled, all.leftCols(3), teacher.cast<double>(), dx));
  CHECK(gradient.leftCols(3) == dx);
  CHECK(gradient.col(3).isZero(0));
  CHECK_THROWS_WITH_AS(run(InfoNCE{}), doctest::Contains("rows of a teacher"), ShapeError);
  const std::vector<double> scores{1, 2, 3};
  batch.scores = scores;
  CHECK_THROWS_WITH_AS(run(loss), doctest::Contains("scores"), ShapeError);
  batch.scores = {};
  batch.teacher = batch.teacher.middle_rows(0, 11);
  CHECK_THROWS_WITH_AS(run(loss), doctest::Contains("rows of the teacher"), ShapeError);
}

TEST_CASE("the cosines of joined teachers are a weighted mean of theirs") {
  const Matrix<double> a = random_matrix(6, 3, 80), b = 7 * random_matrix(6, 5, 81);
  const auto cosines = [](const Matrix<double>& m) {
    const Matrix<double> units = m.rowwise().normalized();
    return Matrix<double>(units * units.transpose());
  };
  for (const double weight : {0.0, 0.5, 3.0}) {
    const Matrix<double> joined = joined_teachers<double>(rows_of(a), rows_of(b), weight);
    const Matrix<double> expected = (cosines(a) + weight * cosines(b)) / (1 + weight);
    CHECK(cosines(joined).isApprox(expected, 1e-12));  // a few roundings of numbers below 1
  }
  CHECK_THROWS_WITH_AS(joined_teachers<double>(rows_of(a), rows_of(b).middle_rows(0, 5), 1), doctest::Contains("rows of the second"), ShapeError);
  for (const double weight : {-0.1, std::nan(""), double(INFINITY)})
    CHECK_THROWS_WITH_AS(joined_teachers<double>(rows_of(a), rows_of(b), weight), doctest::Contains("weight"), ShapeError);
}
