#pragma once
#include "embedpool/core/error.hpp"
#include "embedpool/cuda/grid/columns.cuh"

namespace embedpool::cuda {

/// A Calibration in device memory.
///
/// Shapes  mean, inverse_scale [kinds, D]
struct DeviceCalibration {
  Rows<const float> mean{};
  Rows<const float> inverse_scale{};

  /// Errors: ShapeError unless both tables are [kinds, width].
  void check(Index kinds, Index width) const {
    require_equal("Calibration", "rows of mean", mean.rows, kinds);
    require_equal("Calibration", "columns of mean", mean.cols, width);
    require_equal("Calibration", "rows of inverse_scale", inverse_scale.rows, kinds);
    require_equal("Calibration", "columns of inverse_scale", inverse_scale.cols, width);
  }
};

/// key = (key - mean[kind]) .* inverse_scale[kind], in place. A block for a key.
///
/// Shapes  keys [N, D], kind [N]
/// Oracle  embedpool::Calibration::forward, to the bit
struct Calibrate {
  static constexpr int threads = 128;
  DeviceCalibration calibration;
  const Index* kind;
  Rows<float> keys;

  LaunchShape launch_shape() const noexcept { return {keys.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const auto& [mean, inverse_scale] = calibration;
    float* const key = keys.row_data(thread.block());
    const float* const centre = mean.row_data(kind[thread.block()]);
    const float* const scale = inverse_scale.row_data(kind[thread.block()]);
    for_columns<float>(thread, keys.cols, in_packs(keys) && in_packs(mean) && in_packs(inverse_scale),
                       [&](auto n, Index j) {
      auto values = load<n>(key + j);
      const auto centres = load<n>(centre + j), scales = load<n>(scale + j);
      for (std::size_t i = 0; i < n; ++i) values[i] = (values[i] - centres[i]) * scales[i];
      store(key + j, values);
    });
  }
};

/// dkey = dkey .* inverse_scale[kind], in place. A block for a key.
///
/// Oracle  embedpool::Calibration::backward, to the bit
struct CalibrateBackward {
  static constexpr int threads = 128;
  DeviceCalibration calibration;
  const Index* kind;
  Rows<float> dkeys;

  LaunchShape launch_shape() const noexcept { return {dkeys.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Rows<const float>& inverse_scale = calibration.inverse_scale;
    float* const dkey = dkeys.row_data(thread.block());
    const float* const scale = inverse_scale.row_data(kind[thread.block()]);
    for_columns<float>(thread, dkeys.cols, in_packs(dkeys) && in_packs(inverse_scale), [&](auto n, Index j) {
      auto values = load<n>(dkey + j);
      const auto scales = load<n>(scale + j);
      for (std::size_t i = 0; i < n; ++i) values[i] *= scales[i];
      store(dkey + j, values);
    });
  }
};

}  // namespace embedpool::cuda
