#pragma once
#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/kernels/heads/head_rows.cuh"

namespace embedpool::cuda {

/// Sums over rows, as products: in the order of the rows, without adding across blocks.
class HeadSums {
 public:
  /// out += the sum of the rows of x. Shapes: x [N, D], out [1, D]
  template <Device D>
  void add_columns(D& device, Rows<const float> x, Rows<float> out) {
    device.multiply(Product<float>{ones(device, x.rows), x, out, false, false, 1, 1});
  }
  /// out = the mean of the rows of x.
  template <Device D>
  void mean_columns(D& device, Rows<const float> x, Rows<float> out) {
    device.multiply(Product<float>{ones(device, x.rows), x, out, false, false, 1.0f / static_cast<float>(x.rows), 0});
  }
  /// out[k] += the sum of the rows of x that belong to keys of kind k. Shapes: x [N, D], kind [N], out [kinds, D]
  template <Device D>
  void add_by_kind(D& device, const Index* kind, Rows<const float> x, Rows<float> out) {
    const Rows<float> indicator = indicator_.rows(device, out.rows, x.rows);
    device.launch(head_kernels::KindIndicator{kind, indicator});
    device.multiply(Product<float>{indicator, x, out, false, false, 1, 1});
  }
  /// out[0, k] += the sum of the values of x [1, N] of keys of kind k. Shapes: out [1, kinds]
  template <Device D>
  void add_values_by_kind(D& device, const Index* kind, Rows<const float> x, Rows<float> out) {
    const Rows<float> indicator = indicator_.rows(device, out.cols, x.cols);
    device.launch(head_kernels::KindIndicator{kind, indicator});
    device.multiply(Product<float>{x, indicator, out, false, true, 1, 1});
  }

 private:
  template <Device D>
  Rows<const float> ones(D& device, Index count) {
    if (count > filled_) {
      filled_ = 0;  // until it is: memory may be refused
      float* const data = ones_.reserve(device, count);
      device.launch(head_kernels::FillOnes{data, count});
      filled_ = count;
    }
    return {ones_.data(), 1, count};
  }

  DeviceBuffer<float> ones_, indicator_;
  Index filled_ = 0;
};

}  // namespace embedpool::cuda
