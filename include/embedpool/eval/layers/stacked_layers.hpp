#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/pooling/calibration_estimator.hpp"

namespace embedpool {

/// The pooled states of n texts in each of L layers: a row holds the layers of one text side by side.
///
/// Shapes  states [n, L D]; layer k of all texts is the view [n, D] of columns k D to (k + 1) D
/// Errors  the constructor throws ShapeError unless the columns are L equal parts, and for a value that is not finite
class StackedLayers {
 public:
  StackedLayers(Rows<const float> states, Index layers) : states_(states), layers_(layers) {
    require_in("StackedLayers", "layers", layers, 1, std::max<Index>(1, states.cols));
    require_equal("StackedLayers", "columns modulo layers", states.cols % layers, 0);
    for (Index i = 0; i < states.rows; ++i)
      for (Index j = 0; j < states.cols; ++j)
        if (!std::isfinite(states(i, j)))
          throw ShapeError("StackedLayers: text " + std::to_string(i) + " has a state that is not finite in layer " +
                           std::to_string(j / width()));
  }

  Index texts() const noexcept { return states_.rows; }
  Index layers() const noexcept { return layers_; }
  Index width() const noexcept { return states_.cols / layers_; }
  Rows<const float> states() const noexcept { return states_; }
  Rows<const float> layer(Index k) const noexcept { return states_.middle_cols(k * width(), width()); }

 private:
  Rows<const float> states_;
  Index layers_;
};

/// The same states, each dimension of each layer with mean 0 and deviation 1 over these texts; one that never varies
/// becomes 0. No state of an untuned decoder should be compared with another without it: a single dimension that all
/// texts share can carry nearly all of their length.
///
/// Shapes  [n, L D] -> [n, L D]
/// Errors  ShapeError for fewer than two texts
inline Matrix<float> standardised(const StackedLayers& layers) {
  Matrix<float> states = as_eigen(layers.states());
  std::vector<Index> kinds(static_cast<std::size_t>(layers.layers()));
  for (std::size_t k = 0; k < kinds.size(); ++k) kinds[k] = static_cast<Index>(k);
  const auto stacked = [&](Index i) { return Rows<float>(states.data() + i * states.cols(), layers.layers(), layers.width()); };
  CalibrationEstimator estimator(layers.layers(), layers.width());
  for (Index i = 0; i < states.rows(); ++i) {
    estimator.next_text();
    estimator.add<float>(kinds, stacked(i));
  }
  const Calibration<float> calibration = estimator.estimate<float>();
  for (Index i = 0; i < states.rows(); ++i) calibration.forward(kinds, stacked(i));
  return states;
}

}  // namespace embedpool
