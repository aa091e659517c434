#pragma once
#include <optional>
#include <span>

#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/kernels/calibrate.cuh"
#include "embedpool/pooling/calibration.hpp"

namespace embedpool::cuda {

/// The values of a matrix of the host, row by row.
inline std::span<const float> values_of(const Matrix<float>& matrix) noexcept {
  return {matrix.data(), static_cast<std::size_t>(matrix.size())};
}

/// A DeviceCalibration with its memory.
class CalibrationBuffer {
 public:
  /// `calibration` must stay until device.wait().
  template <Device D>
  std::optional<DeviceCalibration> upload(D& device, const std::optional<Calibration<float>>& calibration) {
    if (!calibration) return {};
    const auto rows = [&](const Matrix<float>& table, DeviceBuffer<float>& buffer) {
      return Rows<const float>(buffer.upload(device, values_of(table)), table.rows(), table.cols());
    };
    return DeviceCalibration{rows(calibration->mean, mean_), rows(calibration->inverse_scale, inverse_scale_)};
  }

 private:
  DeviceBuffer<float> mean_, inverse_scale_;
};

}  // namespace embedpool::cuda
