#include <doctest/doctest.h>

#include "embedpool/cuda/kernels/device_activation.cuh"
#include "embedpool/kernels/activation.hpp"

using namespace embedpool;

namespace {
template <class Device, class Cpu>
struct Pair {
  using OnDevice = Device;
  using OnCpu = Cpu;
};
}  // namespace

TEST_CASE_TEMPLATE("a kernel's activations are the library's", A, Pair<cuda::Silu, Silu>,
                   Pair<cuda::GeluTanh, GeluTanh>, Pair<cuda::GeluErf, GeluErf>) {
  for (float x = -30; x <= 30; x += 0.0625f) {
    CAPTURE(x);
    // A few roundings of a float at the argument's size, against double.
    const double value_error = A::OnDevice::value(x) - A::OnCpu::value(static_cast<double>(x));
    const double derivative_error = A::OnDevice::derivative(x) - A::OnCpu::derivative(static_cast<double>(x));
    CHECK(std::abs(value_error) <= 4 * 0x1p-24 * std::abs(x));
    CHECK(std::abs(derivative_error) <= 16 * 0x1p-24 * (1 + std::abs(x)));
  }
}

TEST_CASE_TEMPLATE("activations of large values are finite", A, cuda::Silu, cuda::GeluTanh, cuda::GeluErf) {
  for (const float x : {1e4f, 3e38f}) {
    CHECK(A::value(x) == x);
    CHECK(A::value(-x) == 0);
  }
  CHECK(A::derivative(1e4f) == doctest::Approx(1));
  CHECK(A::derivative(-1e4f) == doctest::Approx(0));
}
