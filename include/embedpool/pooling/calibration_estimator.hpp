#pragma once
#include <cmath>
#include <limits>
#include <vector>

#include "embedpool/pooling/calibration.hpp"

namespace embedpool {

/// Estimates a Calibration from a stream of keys, in one pass and in double, whatever their offset.
///
///   mean += (x - mean) / n        m2 += (x - mean_before) (x - mean_after)        scale = sqrt(m2 / n)
///   two streams together:  delta = mean_b - mean_a
///                          mean = mean_a + delta n_b / n        m2 = m2_a + m2_b + delta^2 n_a n_b / n
///
/// A dimension that never varies, or too little for 1 / scale to be finite in S, has scale 1: it is only centred.
/// Shapes  keys [keys, D] of kinds in [0, slots)
/// Source  Welford 1962; Chan, Golub and LeVeque 1983 (merging)
class CalibrationEstimator {
 public:
  CalibrationEstimator(Index slots, Index width)
      : mean_(Matrix<double>::Zero(slots, width)),
        squares_(Matrix<double>::Zero(slots, width)),
        keys_(static_cast<std::size_t>(slots), 0) {}

  /// Counts one more text; its keys follow in calls of add().
  void next_text() noexcept { ++texts_; }
  Index texts() const noexcept { return texts_; }

  /// Errors: ShapeError when a kind or the width is not one of this estimator's.
  template <Element T>
  void add(std::span<const Index> kinds, Rows<const T> keys) {
    require_equal("CalibrationEstimator", "width of the keys", keys.cols, mean_.cols());
    require_equal("CalibrationEstimator", "kinds of the keys", static_cast<Index>(kinds.size()), keys.rows);
    for (Index k = 0; k < keys.rows; ++k) {
      const Index kind = kinds[static_cast<std::size_t>(k)];
      require_in("CalibrationEstimator", "kind of a key", kind, 0, mean_.rows() - 1);
      const double n = static_cast<double>(++keys_[static_cast<std::size_t>(kind)]);
      double* mean = mean_.data() + kind * mean_.cols();
      double* squares = squares_.data() + kind * mean_.cols();
      const T* key = keys.row_data(k);
      for (Index j = 0; j < keys.cols; ++j) {
        const double x = to_real<double>(key[j]);
        const double before = x - mean[j];
        mean[j] += before / n;
        squares[j] += before * (x - mean[j]);
      }
    }
  }

  /// Adds what another estimator of the same shape has seen. Errors: ShapeError when the shapes differ.
  void merge(const CalibrationEstimator& other) {
    require_equal("CalibrationEstimator", "slots of the other estimator", other.mean_.rows(), mean_.rows());
    require_equal("CalibrationEstimator", "width of the other estimator", other.mean_.cols(), mean_.cols());
    texts_ += other.texts_;
    for (Index kind = 0; kind < mean_.rows(); ++kind) {
      Index& keys = keys_[static_cast<std::size_t>(kind)];
      const double a = static_cast<double>(keys);
      const double b = static_cast<double>(other.keys_[static_cast<std::size_t>(kind)]);
      if (b == 0) continue;
      for (Index j = 0; j < mean_.cols(); ++j) {
        const double delta = other.mean_(kind, j) - mean_(kind, j);
        mean_(kind, j) += delta * (b / (a + b));
        squares_(kind, j) += other.squares_(kind, j) + delta * delta * (a * b / (a + b));
      }
      keys += other.keys_[static_cast<std::size_t>(kind)];
    }
  }

  /// Errors: ShapeError for fewer than two texts, a kind without two keys, or a value that is not finite.
  template <Real S>
  Calibration<S> estimate() const {
    if (texts_ < 2)
      throw ShapeError("CalibrationEstimator: needs at least 2 texts, got " + std::to_string(texts_));
    Calibration<S> calibration{mean_.cast<S>(), Matrix<S>::Ones(mean_.rows(), mean_.cols())};
    for (Index kind = 0; kind < mean_.rows(); ++kind) {
      const Index keys = keys_[static_cast<std::size_t>(kind)];
      if (keys < 2)
        throw ShapeError("CalibrationEstimator: keys of kind " + std::to_string(kind) + " must be at least 2, got " +
                         std::to_string(keys));
      for (Index j = 0; j < mean_.cols(); ++j) {
        if (!std::isfinite(squares_(kind, j)))
          throw ShapeError("CalibrationEstimator: a key of kind " + std::to_string(kind) +
                           " is not finite in dimension " + std::to_string(j));
        const double inverse = 1.0 / std::sqrt(squares_(kind, j) / static_cast<double>(keys));
        if (inverse <= static_cast<double>(std::numeric_limits<S>::max()))
          calibration.inverse_scale(kind, j) = static_cast<S>(inverse);
      }
    }
    return calibration;
  }

 private:
  Matrix<double> mean_;     // [slots, D]
  Matrix<double> squares_;  // [slots, D], sums of squared distances from the mean
  std::vector<Index> keys_;
  Index texts_ = 0;
};

}  // namespace embedpool
