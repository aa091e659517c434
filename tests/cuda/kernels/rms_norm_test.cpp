#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/rms_norm.cuh"
#include "embedpool/kernels/norm.hpp"

using namespace embedpool;

namespace {

std::vector<float> expected_norm(const std::vector<float>& x, const std::vector<float>& gain) {
  const auto width = static_cast<Index>(gain.size()), rows = static_cast<Index>(x.size()) / width;
  std::vector<float> out(x.size());
  SerialExecutor executor;
  rms_norm(Rows<const float>(x.data(), rows, width), gain.data(), 1e-5f, Rows<float>(out.data(), rows, width),
           executor);
  return out;
}

/// One rounding of the result, and sums of `width` squares in float on both sides.
template <class T>
double bound(Index width) {
  return test::rounding<T> + 4 * 0x1p-24 * std::sqrt(static_cast<double>(width));
}

}  // namespace

TEST_CASE_TEMPLATE("RmsNorm is the CPU's rms_norm at every width", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {1, 8, 31, 257, 1024}) {
      CAPTURE(width);
      const Index rows = 3;
      const auto x = test::random_elements<T>(rows * width, 1);
      const auto gain = test::random_values<float>(width, 2);
      const std::vector<float> expected = expected_norm(test::widened(x), gain);
      const test::OnDevice<T> input(device, x, rows, width);
      const test::OnDevice<float> weight(device, gain);
      device.launch(cuda::RmsNorm<T>{input.rows(), weight.data(), 1e-5f, input.rows()});
      CHECK(test::relative_error(test::widened(input.values()), expected) <= bound<T>(width));
    }
  });
}

TEST_CASE_TEMPLATE("RmsNorm rounds a residual stream of floats to what products read", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {1, 257, 1024}) {
      CAPTURE(width);
      const Index rows = 3;
      const auto x = test::random_values<float>(rows * width, 3), gain = test::random_values<float>(width, 4);
      const test::OnDevice<float> input(device, x, rows, width), weight(device, gain);
      const test::OnDevice<T> out(device, test::random_elements<T>(rows * width, 5), rows, width);
      device.launch(cuda::RmsNorm<float, T>{input.rows(), weight.data(), 1e-5f, out.rows()});
      CHECK(test::relative_error(test::widened(out.values()), expected_norm(x, gain)) <= bound<T>(width));
      CHECK(input.values() == x);
    }
  });
}

TEST_CASE_TEMPLATE("AddRmsNorm adds to the stream and norms the sum", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {1, 257, 1024}) {
      CAPTURE(width);
      const Index rows = 3;
      const auto x = test::random_values<float>(rows * width, 6), gain = test::random_values<float>(width, 7);
      const auto y = test::random_elements<T>(rows * width, 8);
      std::vector<float> sum = x;
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += cuda::widened(y[i]);
      const test::OnDevice<float> stream(device, x, rows, width), weight(device, gain);
      const test::OnDevice<T> added(device, y, rows, width), out(device, y, rows, width);
      device.launch(cuda::AddRmsNorm<T>{stream.rows(), added.rows(), weight.data(), 1e-5f, out.rows()});
      CHECK(stream.values() == sum);
      CHECK(test::relative_error(test::widened(out.values()), expected_norm(sum, gain)) <= bound<T>(width));
    }
  });
}
