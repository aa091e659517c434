#pragma once
#include <random>

#include "embedpool/core/matrix.hpp"
#include "embedpool/pooling/calibration.hpp"

namespace embedpool::testing {

/// How large the random problems are. The width is odd so that every loop has a remainder.
struct ProblemSize {
  Index layers = 3;
  Index width = 7;
  unsigned seed = 1;
};

/// Parameters whose every value is random: nothing is zero that hides a wrong gradient.
template <Real S, class Pooling>
typename Pooling::template Params<S> random_params(const Pooling& pooling, const ProblemSize& size) {
  auto params = pooling.head.template init<S>(size.width, pooling.slots(size.layers));
  std::mt19937 generator(size.seed);
  std::normal_distribution<double> normal(0, 0.5);
  Pooling::Head::for_each(params, [&](auto&&, auto& tensor) {
    for (Index i = 0; i < tensor.size(); ++i) tensor.data()[i] = static_cast<S>(normal(generator));
  });
  return params;
}

/// A calibration of the right shape with random values.
template <Real S, class Pooling>
Calibration<S> random_calibration(const Pooling& pooling, const ProblemSize& size) {
  Calibration<S> calibration{Matrix<S>(pooling.slots(size.layers), size.width),
                             Matrix<S>(pooling.slots(size.layers), size.width)};
  std::mt19937 generator(size.seed + 1);
  std::uniform_real_distribution<double> uniform(0.5, 2);
  for (Index i = 0; i < calibration.mean.size(); ++i) {
    calibration.mean.data()[i] = static_cast<S>(uniform(generator) - 1);
    calibration.inverse_scale.data()[i] = static_cast<S>(uniform(generator));
  }
  return calibration;
}

}  // namespace embedpool::testing
