#pragma once
#include "embedpool/core/matrix.hpp"
#include "embedpool/model/lora_adapter.hpp"

namespace embedpool::cuda {

/// A trained tensor and its gradient in a device's memory, [rows, cols], packed.
struct TrainedRows {
  Rows<float> value{}, gradient{};
  Index reordered_heads = 0;  ///< their width where rows lie as in GGUF files of the Llama family; else 0

  Index size() const noexcept { return value.rows * value.cols; }

  /// The host's tensor of values in the device's memory that lie as `value` does. Waits.
  template <class D>
  void copy_out(D& device, const float* from, Matrix<float>& to) const {
    Matrix<float> values(value.rows, value.cols);
    device.copy_out(values.data(), from, bytes());
    device.wait();
    to.resize(value.rows, value.cols);
    for (Index n = 0; n < value.rows; ++n) to.row(host_row(n)) = values.row(n);
  }
  /// The way back. Waits.
  template <class D>
  void copy_in(D& device, const Matrix<float>& from, float* to) const {
    Matrix<float> values(value.rows, value.cols);
    for (Index n = 0; n < value.rows; ++n) values.row(n) = from.row(host_row(n));
    device.copy_in(to, values.data(), bytes());
    device.wait();
  }

 private:
  Index bytes() const noexcept { return size() * Index(sizeof(float)); }
  Index host_row(Index n) const noexcept { return reordered_heads > 0 ? row_for_halves(n, reordered_heads) : n; }
};

}  // namespace embedpool::cuda
