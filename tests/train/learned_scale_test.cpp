#include "embedpool/train/learned_scale.hpp"

#include <doctest/doctest.h>

#include "embedpool/loss/matryoshka.hpp"
#include "embedpool/train/checkpoint.hpp"
#include "io/temporary_folder.hpp"
#include "train/small_training.hpp"

using namespace embedpool;

namespace {

/// Loss of fixed embeddings, and what it adds to the gradient of t.
template <class Loss>
double loss_at(const Loss& loss, double t, double& dt) {
  std::srand(3);
  Matrix<double> q = Matrix<double>::Random(5, 7), d = Matrix<double>::Random(5, 7), n = Matrix<double>::Random(10, 7);
  Matrix<double> dq = 0 * q, dd = 0 * d, dn = 0 * n;
  const auto tensor = loss.tensors().front();
  tensor.value->setConstant(t);
  tensor.gradient->setZero();
  const double value = loss(ContrastiveBatch<double>{rows_of(std::as_const(q)), rows_of(std::as_const(d)), rows_of(std::as_const(n))},
                            ContrastiveGradients<double>{rows_of(dq), rows_of(dd), rows_of(dn)});
  dt = (*tensor.gradient)(0, 0);
  return value;
}

}  // namespace

TEST_CASE("the gradient of the logarithm of the scale agrees with central differences, at the limit too") {
  LearnedScale<double> loss;
  double unused = 0, dt = 0;
  for (const double t : {0.0, 1.5, 3.0}) {
    const double step = 1e-5;
    const double difference = (loss_at(loss, t + step, unused) - loss_at(loss, t - step, unused)) / (2 * step);
    loss_at(loss, t, dt);
    CHECK(dt == doctest::Approx(difference).epsilon(1e-7));  // step^2 of third derivatives of size 1
  }
  const double at_limit = loss_at(loss, std::log(100.0), dt);
  CHECK(loss_at(loss, 5.0, dt) == doctest::Approx(at_limit).epsilon(1e-12));
  CHECK(loss.scale() == 100);
  CHECK((*loss.tensors().front().value)(0, 0) == std::log(100.0));  // put back, so that it can fall
  const double below = (at_limit - loss_at(loss, std::log(100.0) - 1e-5, unused)) / 1e-5;
  CHECK(dt == doctest::Approx(below).epsilon(1e-2));  // one-sided: 1e-5 of second derivatives 100 times as large
}

TEST_CASE("a scale that begins beyond 100 has its limit there, and one that is no number above 0 is refused") {
  InfoNCE start;
  start.scale = 200;
  const LearnedScale<float> loss(start);
  CHECK(loss.largest == 200);
  CHECK(loss.scale() == doctest::Approx(200));
  for (const double scale : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    start.scale = scale;
    CHECK_THROWS_WITH_AS(LearnedScale<float>{start}, doctest::Contains("learned scale"), ShapeError);
  }
}

TEST_CASE("each cut of a Matryoshka loss moves the scale by its weight") {
  Matryoshka<LearnedScale<double>> nested{LearnedScale<double>{}, {7, 3}, {0.5, 0.25}};
  double unused = 0, dt = 0;
  const double step = 1e-5;
  const double difference = (loss_at(nested, 2 + step, unused) - loss_at(nested, 2 - step, unused)) / (2 * step);
  loss_at(nested, 2.0, dt);
  CHECK(dt == doctest::Approx(difference).epsilon(1e-7));  // step^2 of third derivatives of size 1
}

TEST_CASE("a trainer teaches the scale beside the model, whatever holds the loss, and a checkpoint keeps it") {
  using School = test::SmallTraining<float>;
  SerialExecutor serial;
  const auto settings = School::settings(0, 0);
  const auto batch = School::batch(1);
  School first, second;
  const LearnedScale<float> scale;
  const Matryoshka<LearnedScale<float>> loss{scale, {first.model.decoder().width()}, {1.0}};
  Trainer trainer(first.model, loss, settings);
  const std::size_t of_model = first.model.tensors().size();
  REQUIRE(trainer.tensors().size() == of_model + 1);
  for (int i = 0; i < 4; ++i) trainer.step(batch, serial);
  CHECK(std::abs(scale.scale() - 20) > 1e-3);  // copies share it

  const test::TemporaryFolder folder;
  write_checkpoint(trainer, "d", folder / "c");
  const LearnedScale<float> read;
  Trainer resumed(second.model, Matryoshka<LearnedScale<float>>{read, {first.model.decoder().width()}, {1.0}}, settings);
  read_checkpoint(resumed, "d", folder / "c");
  CHECK(read.scale() == scale.scale());
}

TEST_CASE("a scale that does not learn has no tensor, no limit, and the loss of its own") {
  LearnedScale<float> scale;
  scale.learns = false;
  scale.inner.scale = 150;
  CHECK(scale.tensors().empty());
  CHECK(scale.scale() == 150);
  std::srand(4);
  const Matrix<float> q = Matrix<float>::Random(5, 7), d = Matrix<float>::Random(5, 7);
  Matrix<float> dq = 0 * q, dd = 0 * d;
  InfoNCE plain;
  plain.scale = 150;
  const ContrastiveBatch<float> batch{rows_of(q), rows_of(d)};
  const ContrastiveGradients<float> gradients{rows_of(dq), rows_of(dd)};
  CHECK(scale(batch, gradients) == plain(batch, gradients));
}
