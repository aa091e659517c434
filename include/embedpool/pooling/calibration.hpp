#pragma once
#include <span>
#include <string>

#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Centre and scale of keys, between a reader and its head. Estimated once from unlabelled texts and saved with the
/// model: it removes the direction that all states of an untuned decoder share, which no LayerNorm does.
///
///   key = (key - mean[kind]) .* inverse_scale[kind]
///
/// Shapes  mean, inverse_scale [slots, D]: a row for each kind of key (layers read x kinds a layer gives)
/// Cost    one pass over the keys
template <Real S>
struct Calibration {
  Matrix<S> mean;
  Matrix<S> inverse_scale;

  /// Errors: ShapeError unless both tables are [slots, width].
  void check(Index slots, Index width) const {
    require_equal("Calibration", "rows of mean", mean.rows(), slots);
    require_equal("Calibration", "columns of mean", mean.cols(), width);
    require_equal("Calibration", "rows of inverse_scale", inverse_scale.rows(), slots);
    require_equal("Calibration", "columns of inverse_scale", inverse_scale.cols(), width);
  }

  /// `kinds[k]` is the kind of row k of keys [keys, D], changed in place.
  void forward(std::span<const Index> kinds, Rows<S> keys) const noexcept {
    for (Index k = 0; k < keys.rows; ++k) {
      const S* centre = mean.data() + kinds[static_cast<std::size_t>(k)] * mean.cols();
      const S* scale = inverse_scale.data() + kinds[static_cast<std::size_t>(k)] * mean.cols();
      S* key = keys.row_data(k);
      for (Index j = 0; j < keys.cols; ++j) key[j] = (key[j] - centre[j]) * scale[j];
    }
  }

  /// dkey = dkey .* inverse_scale[kind], in place: the gradient of calibrated keys becomes that of the keys read.
  void backward(std::span<const Index> kinds, Rows<S> dkeys) const noexcept {
    for (Index k = 0; k < dkeys.rows; ++k) {
      const S* scale = inverse_scale.data() + kinds[static_cast<std::size_t>(k)] * mean.cols();
      S* dkey = dkeys.row_data(k);
      for (Index j = 0; j < dkeys.cols; ++j) dkey[j] *= scale[j];
    }
  }
};

}  // namespace embedpool
