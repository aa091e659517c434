#include <doctest/doctest.h>

#include "embedpool/train/gradient_norm.hpp"
#include "embedpool/train/optimizer.hpp"
#include "embedpool/train/schedule.hpp"

using namespace embedpool;

namespace {

Matrix<double> one(double value) { return Matrix<double>::Constant(1, 1, value); }

}  // namespace

TEST_CASE("the first step of AdamW moves each weight by the rate against its gradient's sign, whatever its size") {
  for (const double gradient : {3.0, -0.02}) {
    Matrix<double> w = one(2), m = one(0), v = one(0);
    AdamW{}.update(w, one(gradient), m, v, 1, 0.1, 0.0);
    // m / (1 - b1) = g, v / (1 - b2) = g^2: the step is rate g / (|g| + 1e-8).
    CHECK(w(0, 0) == doctest::Approx(2 - 0.1 * gradient / (std::abs(gradient) + 1e-8)).epsilon(1e-13));
    CHECK(m(0, 0) == doctest::Approx(0.1 * gradient).epsilon(1e-13));
    CHECK(v(0, 0) == doctest::Approx(0.001 * gradient * gradient).epsilon(1e-13));
  }
}

TEST_CASE("the second step of AdamW, worked by hand") {
  // g = 1, then g = 3 with b1 = 0.5, b2 = 0.75, epsilon = 0:
  //   m = 0.5 then 0.5 * 0.5 + 0.5 * 3 = 1.75;  v = 0.25 then 0.75 * 0.25 + 0.25 * 9 = 2.4375
  //   corrected m = 1.75 / 0.75, v = 2.4375 / (1 - 0.5625)
  AdamW rule{0.5, 0.75, 0.0};
  Matrix<double> w = one(0), m = one(0), v = one(0);
  rule.update(w, one(1), m, v, 1, 0.1, 0.0);
  CHECK(w(0, 0) == doctest::Approx(-0.1).epsilon(1e-13));
  rule.update(w, one(3), m, v, 2, 0.1, 0.0);
  CHECK(m(0, 0) == doctest::Approx(1.75).epsilon(1e-13));
  CHECK(v(0, 0) == doctest::Approx(2.4375).epsilon(1e-13));
  CHECK(w(0, 0) == doctest::Approx(-0.1 - 0.1 * (1.75 / 0.75) / std::sqrt(2.4375 / 0.4375)).epsilon(1e-13));
}

TEST_CASE("weight decay shrinks the weight beside the gradient's step and leaves the moments alone") {
  Matrix<double> w = one(2), m = one(0), v = one(0);
  AdamW{}.update(w, one(0), m, v, 1, 0.1, 0.5);
  CHECK(w(0, 0) == doctest::Approx(2 * (1 - 0.1 * 0.5)).epsilon(1e-13));
  CHECK(m(0, 0) == 0);
  CHECK(v(0, 0) == 0);
}

TEST_CASE("an optimiser gives each part its rate, and decays what decays") {
  Matrix<double> a = one(1), b = one(1), c = one(1);
  Matrix<double> da = one(1), db = one(1), zero = one(0);
  const std::vector<TrainedTensor<double>> tensors{{"a", &a, &da, TrainedPart::adapter, false},
                                                   {"b", &b, &db, TrainedPart::head, false},
                                                   {"c", &c, &zero, TrainedPart::base, true}};
  Optimizer<double> optimizer({}, 0.5, tensors);
  const auto rate = [](TrainedPart part) { return part == TrainedPart::head ? 0.2 : 0.1; };
  optimizer.step(tensors, rate);
  CHECK(a(0, 0) == doctest::Approx(0.9).epsilon(1e-7));
  CHECK(b(0, 0) == doctest::Approx(0.8).epsilon(1e-7));
  CHECK(c(0, 0) == doctest::Approx(0.95).epsilon(1e-13));
  CHECK(optimizer.steps() == 1);
  CHECK_THROWS_AS(optimizer.step({tensors[0]}, rate), ShapeError);
}

TEST_CASE("warmup rises from zero to the peak, and decay falls to zero at the last step") {
  const Schedule linear{Schedule::Decay::linear, 4, 20};
  CHECK(linear(0) == 0);
  CHECK(linear(1) == 0.25);
  CHECK(linear(4) == 1);
  CHECK(linear(12) == 0.5);
  CHECK(linear(20) == 0);
  CHECK(linear(25) == 0);
  CHECK(Schedule{Schedule::Decay::linear, 4, 4}(4) == 0);  // where there is no step after warmup
  const Schedule cosine{Schedule::Decay::cosine, 2, 10};
  CHECK(cosine(1) == 0.5);
  CHECK(cosine(2) == 1);
  CHECK(cosine(6) == doctest::Approx(0.5).epsilon(1e-13));
  CHECK(cosine(4) == doctest::Approx(0.5 * (1 + std::sqrt(0.5))).epsilon(1e-13));  // cos(pi / 4)
  CHECK(cosine(10) == doctest::Approx(0).scale(1));
  const Schedule constant{Schedule::Decay::constant, 0, 10};
  CHECK(constant(0) == 1);
  CHECK(constant(99) == 1);
}

TEST_CASE("gradients longer than the bound are scaled to it, shorter ones stay") {
  Matrix<double> w = one(0), three = one(3), four = one(4);
  const std::vector<TrainedTensor<double>> tensors{{"a", &w, &three}, {"b", &w, &four}};
  CHECK(gradient_norm(tensors) == 5);
  CHECK(clip_gradients(tensors, 0) == 5);   // no bound
  CHECK(clip_gradients(tensors, 10) == 5);  // within it
  CHECK(three(0, 0) == 3);
  CHECK(clip_gradients(tensors, 1) == 5);
  CHECK(three(0, 0) == doctest::Approx(0.6).epsilon(1e-6));  // the divisor has 1e-6 added
  CHECK(four(0, 0) == doctest::Approx(0.8).epsilon(1e-6));
}
