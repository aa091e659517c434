#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "embedpool/pooling/calibration_stream.hpp"
#include "embedpool/pooling/layers.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/last_token.hpp"
#include "embedpool/pooling/tokens/token_mean.hpp"
#include "embedpool/testing/hidden_states.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using embedpool::test::refusal;

namespace {

/// Random keys [n, 3] around an offset, every key a text of its own.
Matrix<double> random_keys(Index n, double offset, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Matrix<double> keys(n, 3);
  for (Index i = 0; i < keys.size(); ++i) keys.data()[i] = offset + normal(generator);
  return keys;
}

void feed(CalibrationEstimator& estimator, const Matrix<double>& keys, Index begin, Index end) {
  const Index kind = 0;
  for (Index i = begin; i < end; ++i) {
    estimator.next_text();
    estimator.add<double>({&kind, 1}, Rows<const double>(keys.data() + i * keys.cols(), 1, keys.cols()));
  }
}

/// Mean and 1 / standard deviation in two passes over offset-free values: the definition.
struct TwoPasses {
  RowVector<double> mean, inverse_scale;
  TwoPasses(const Matrix<double>& keys, double offset) {
    const Matrix<double> centred = keys.array() - offset;  // exact: offset and keys are close
    const RowVector<double> shift = centred.colwise().mean();
    mean = shift.array() + offset;
    inverse_scale =
        (centred.rowwise() - shift).cwiseAbs2().colwise().mean().cwiseSqrt().cwiseInverse();
  }
};

}  // namespace

TEST_CASE("calibration is exact for keys far from zero") {
  // One pass over squares would keep no digit of the variance: (1e8)^2 * 1e-16 = 1.
  for (const double offset : {0.0, 1e4, 1e8, -1e8}) {
    CAPTURE(offset);
    const Matrix<double> keys = random_keys(1000, offset, 1);
    CalibrationEstimator estimator(1, 3);
    feed(estimator, keys, 0, keys.rows());
    const auto calibration = estimator.estimate<double>();
    const TwoPasses expected(keys, offset);
    for (Index j = 0; j < 3; ++j) {
      // Each update of the mean rounds at the offset's last place, 1.5e-8 for 1e8, and they cancel on average.
      const double rounding = std::max(1e-12, std::abs(offset) * 1e-15);
      CHECK(std::abs(calibration.mean(0, j) - expected.mean[j]) < 10 * rounding);
      CHECK(std::abs(calibration.inverse_scale(0, j) - expected.inverse_scale[j]) < 10 * rounding);
    }
  }
}

TEST_CASE("estimators merged are one estimator that saw everything") {
  const Matrix<double> keys = random_keys(300, 1e8, 2);
  CalibrationEstimator whole(1, 3);
  feed(whole, keys, 0, 300);
  for (const Index cut : {Index(0), Index(1), Index(7), Index(150), Index(300)}) {
    CAPTURE(cut);
    CalibrationEstimator first(1, 3), second(1, 3);
    feed(first, keys, 0, cut);
    feed(second, keys, cut, 300);
    first.merge(second);
    CHECK(first.texts() == 300);
    const auto together = first.estimate<double>();
    const auto expected = whole.estimate<double>();
    // As above: roundings at the last place of 1e8.
    CHECK((together.mean - expected.mean).cwiseAbs().maxCoeff() < 1e-6);
    CHECK((together.inverse_scale - expected.inverse_scale).cwiseAbs().maxCoeff() < 1e-6);
  }
}

TEST_CASE("a dimension that never varies is centred and not scaled") {
  CalibrationEstimator estimator(1, 2);
  const Index kind = 0;
  for (const float x : {1.0f, 2.0f, 3.0f}) {
    const float key[] = {0.1f, x};
    estimator.next_text();
    estimator.add<float>({&kind, 1}, Rows<const float>(key, 1, 2));
  }
  const auto calibration = estimator.estimate<float>();
  CHECK(calibration.mean(0, 0) == 0.1f);
  CHECK(calibration.inverse_scale(0, 0) == 1.0f);
  CHECK(calibration.mean(0, 1) == 2.0f);
  CHECK(calibration.inverse_scale(0, 1) == doctest::Approx(1 / std::sqrt(2.0 / 3)));
}

TEST_CASE("calibrated keys have mean 0 and variance 1") {
  const Matrix<double> keys = random_keys(500, 30, 3);
  CalibrationEstimator estimator(1, 3);
  feed(estimator, keys, 0, 500);
  const auto calibration = estimator.estimate<double>();
  Matrix<double> calibrated = keys;
  const std::vector<Index> kinds(500, 0);
  calibration.forward(kinds, rows_of(calibrated));
  CHECK(calibrated.colwise().mean().cwiseAbs().maxCoeff() < 1e-12);
  CHECK((calibrated.cwiseAbs2().colwise().mean().array() - 1).abs().maxCoeff() < 1e-12);
}

TEST_CASE("a stream of layers estimates what its batches hold, however they were cut") {
  using Tokens = Both<LastToken, TokenMean>;
  const Index layers = 2, width = 4;
  const auto states = testing::HiddenStates<float>::random(testing::example_texts(), layers, width, 5);
  const auto estimate = [&](const std::vector<std::vector<Index>>& batches) {
    CalibrationEstimator estimator(layers * 2, width);
    for (const auto& texts : batches) {
      const auto batch = states.batch_of(texts);
      CalibrationStream stream(EveryLayer{}, Tokens{}, batch.segments(), layers, width, estimator);
      static_assert(LayerSink<decltype(stream), float> && LayerSink<decltype(stream), bf16>);
      for (Index k = 1; k <= layers; ++k) stream.push(k, batch.layer(k));
      CHECK_THROWS_WITH_AS(stream.push(1, batch.layer(1)), "CalibrationStream: layer 1 was pushed twice", ShapeError);
      CHECK_THROWS_AS(stream.push(0, batch.layer(0)), ShapeError);
    }
    CHECK(estimator.texts() == 5);
    return estimator.estimate<double>();
  };
  const auto one = estimate({{0, 1, 2, 3, 4}});
  const auto many = estimate({{0}, {1, 2}, {3, 4}});
  CHECK(one.mean == many.mean);
  CHECK(one.inverse_scale == many.inverse_scale);
  // Kind 2 is the last token of layer 2.
  double mean = 0;
  for (Index b = 0; b < 5; ++b) mean += states.rows(2)(states.segments().offset(b + 1) - 1, 1) / 5.0;
  CHECK(one.mean(2, 1) == doctest::Approx(mean));
}

TEST_CASE("what cannot be estimated is refused by name") {
  CalibrationEstimator estimator(1, 2);
  const Index kind = 0, other = 1;
  const double key[] = {1, 2};
  CHECK(refusal([&] { (void)estimator.estimate<float>(); }) == "CalibrationEstimator: needs at least 2 texts, got 0");
  estimator.next_text();
  estimator.add<double>({&kind, 1}, Rows<const double>(key, 1, 2));
  CHECK(refusal([&] { (void)estimator.estimate<float>(); }) == "CalibrationEstimator: needs at least 2 texts, got 1");
  CHECK(refusal([&] { estimator.add<double>({&other, 1}, Rows<const double>(key, 1, 2)); }) ==
        "CalibrationEstimator: kind of a key must be in [0, 0], got 1");
  CHECK(refusal([&] { estimator.add<double>({&kind, 1}, Rows<const double>(key, 1, 1)); }) ==
        "CalibrationEstimator: width of the keys must be 2, got 1");
  const double bad[] = {1, std::numeric_limits<double>::quiet_NaN()};
  estimator.next_text();
  estimator.add<double>({&kind, 1}, Rows<const double>(bad, 1, 2));
  CHECK(refusal([&] { (void)estimator.estimate<float>(); }) ==
        "CalibrationEstimator: a key of kind 0 is not finite in dimension 1");
  CHECK(refusal([&] { CalibrationEstimator wide(1, 3); estimator.merge(wide); }) ==
        "CalibrationEstimator: width of the other estimator must be 2, got 3");
}
