#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/rms_norm.cuh"
#include "embedpool/kernels/norm.hpp"

using namespace embedpool;

TEST_CASE_TEMPLATE("RmsNorm is the CPU's rms_norm at every width", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {1, 8, 31, 257, 1024}) {
      CAPTURE(width);
      const Index rows = 3;
      const auto x = test::random_elements<T>(rows * width, 1), gain = test::random_elements<T>(width, 2);
      std::vector<float> expected(x.size());
      SerialExecutor executor;
      const auto wide_x = test::widened(x), wide_gain = test::widened(gain);
      rms_norm(Rows<const float>(wide_x.data(), rows, width), wide_gain.data(), 1e-5f, Rows<float>(expected.data(), rows, width),
               executor);
      const test::OnDevice<T> input(device, x, rows, width), weight(device, gain);
      device.launch(cuda::RmsNorm<T>{input.rows(), weight.data(), 1e-5f, input.rows()});
      // One rounding of the result, and sums of `width` squares in float on both sides.
      const double bound = test::rounding<T> + 4 * 0x1p-24 * std::sqrt(static_cast<double>(width));
      CHECK(test::relative_error(test::widened(input.values()), expected) <= bound);
    }
  });
}
