#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/device_activation.cuh"
#include "embedpool/cuda/kernels/stripes.cuh"
#include "embedpool/kernels/activation.hpp"

using namespace embedpool;

namespace {
template <class Device, class Cpu>
struct Pair {
  using OnDevice = Device;
  using OnCpu = Cpu;
};

/// values = A(x), derivatives = A'(x), where kernels compute them.
template <class A>
struct Activated {
  static constexpr int threads = cuda::stripe_threads;
  Rows<const float> x;
  Rows<float> values, derivatives;

  cuda::LaunchShape launch_shape() const noexcept { return cuda::stripes(x.rows, x.cols); }

  template <cuda::GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    cuda::for_stripe<float>(thread, x.cols, false, [&](auto, Index row, Index j) {
      values(row, j) = A::value(x(row, j));
      derivatives(row, j) = A::derivative(x(row, j));
    });
  }
};

/// Values and derivatives of some arguments, as a device computes them.
template <class A>
std::pair<std::vector<float>, std::vector<float>> activated(test::TestDevice& device, const std::vector<float>& arguments) {
  const std::vector<float> nothing(arguments.size(), -1.0f);
  const test::OnDevice<float> x(device, arguments), values(device, nothing), derivatives(device, nothing);
  device.launch(Activated<A>{x.rows(), values.rows(), derivatives.rows()});
  return {values.values(), derivatives.values()};
}
}  // namespace

TEST_CASE_TEMPLATE("a kernel's activations are the library's", A, Pair<cuda::Silu, Silu>,
                   Pair<cuda::GeluTanh, GeluTanh>, Pair<cuda::GeluErf, GeluErf>) {
  std::vector<float> arguments;
  for (float x = -30; x <= 30; x += 0.0625f) arguments.push_back(x);
  test::on_every_device([&](test::TestDevice& device) {
    const auto [values, derivatives] = activated<typename A::OnDevice>(device, arguments);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const double x = arguments[i];
      CAPTURE(x);
      // A few roundings of a float at the argument's size, against double.
      CHECK(std::abs(values[i] - A::OnCpu::value(x)) <= 4 * 0x1p-24 * std::abs(x));
      CHECK(std::abs(derivatives[i] - A::OnCpu::derivative(x)) <= 16 * 0x1p-24 * (1 + std::abs(x)));
    }
  });
}

TEST_CASE_TEMPLATE("activations of large values are finite", A, cuda::Silu, cuda::GeluTanh, cuda::GeluErf) {
  test::on_every_device([](test::TestDevice& device) {
    const auto [values, derivatives] = activated<A>(device, {1e4f, -1e4f, 3e38f, -3e38f});
    CHECK(values == std::vector<float>{1e4f, 0, 3e38f, 0});
    CHECK(derivatives[0] == doctest::Approx(1));
    CHECK(derivatives[1] == doctest::Approx(0));
  });
}
