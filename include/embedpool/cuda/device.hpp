#pragma once
#include <memory_resource>

#include "embedpool/cuda/element.hpp"
#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/grid/kernel.hpp"

namespace embedpool::cuda {

/// out = alpha op(left) op(right) + beta out + bias, with float sums. Every matrix is row-major in the device's memory.
/// The result is rounded to U once, or twice where there is a bias and beta is not 0.
///
/// Shapes  op(left) [M, K], op(right) [K, N], out [M, N]; op transposes where the flag says so: a linear map x W^T has
///         its weight [N, K] as `right`, transposed. bias [N] for every row, or null
/// Requires  with beta 0 what `out` held is not read; with a bias K is not 0
template <DeviceElement T, DeviceElement U = T>
struct Product {
  Rows<const T> left{};
  Rows<const T> right{};
  Rows<U> out{};
  bool left_transposed = false;
  bool right_transposed = false;
  float alpha = 1;
  float beta = 0;
  const U* bias = nullptr;
};

/// y = x W^T (+ y where beta is 1) (+ bias)
template <DeviceElement T, DeviceElement U>
Product<T, U> linear(Rows<const T> x, Rows<const T> weight, Rows<U> y, float beta = 0, const U* bias = nullptr) {
  return {x, weight, y, false, true, 1, beta, bias};
}
/// dx = dy W (+ dx)
template <DeviceElement T, DeviceElement U>
Product<T, U> linear_input_gradient(Rows<const T> dy, Rows<const T> weight, Rows<U> dx, float beta = 0) {
  return {dy, weight, dx, false, false, 1, beta};
}
/// dW = dy^T x (+ dW)
template <DeviceElement T, DeviceElement U>
Product<T, U> linear_weight_gradient(Rows<const T> dy, Rows<const T> x, Rows<U> dw, float beta = 0) {
  return {dy, x, dw, true, false, 1, beta};
}

/// Something that runs kernels in order, has memory for them, and multiplies matrices: a stream of a GPU (CudaDevice),
/// or the host (HostDevice).
///
/// Beyond the syntax, a model promises that
///   - launch(kernel) for every Kernel and multiply(Product<T, U>) for T = U in {float, bf16, f16} and U = float;
///   - memory() gives memory that kernels reach, aligned to 256 bytes; what it takes back may still be read by work that
///     was begun before;
///   - work is done in the order it was given; only wait() waits for it. copy_out's target and copy_in's source must stay
///     until a wait().
template <class D>
concept Device = requires(D device, void* to, const void* from, Index bytes) {
  { device.memory() } -> std::same_as<std::pmr::memory_resource*>;
  { device.copy_in(to, from, bytes) } -> std::same_as<void>;
  { device.copy_out(to, from, bytes) } -> std::same_as<void>;
  { device.copy(to, from, bytes) } -> std::same_as<void>;
  { device.clear(to, bytes) } -> std::same_as<void>;
  { device.wait() } -> std::same_as<void>;
};

}  // namespace embedpool::cuda
