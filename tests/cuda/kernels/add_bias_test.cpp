#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/add_bias.cuh"

using namespace embedpool;

namespace {
constexpr std::pair<Index, Index> shapes[] = {{1, 1}, {5, 31}, {3, 257}, {2, 1024}, {2, 4097}, {1, 8208}};

template <class From, class To>
void check_sum(test::TestDevice& device) {
  for (const auto& shape : shapes) {
    const Index rows = shape.first, cols = shape.second;
    CAPTURE(rows);
    CAPTURE(cols);
    const auto x = test::random_elements<From>(rows * cols, 1);
    const auto y = test::random_elements<To>(rows * cols, 2);
    std::vector<float> expected;
    for (std::size_t i = 0; i < x.size(); ++i)
      expected.push_back(cuda::widened(cuda::rounded<To>(cuda::widened(y[i]) + cuda::widened(x[i]))));
    const test::OnDevice<From> added(device, x, rows, cols);
    const test::OnDevice<To> sum(device, y, rows, cols);
    device.launch(cuda::AddRows<From, To>{added.rows(), sum.rows()});
    CHECK(test::widened(sum.values()) == expected);
  }
}
}  // namespace

TEST_CASE_TEMPLATE("AddBias adds the bias to every row", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const auto& shape : shapes) {
      const Index rows = shape.first, cols = shape.second;
      CAPTURE(rows);
      CAPTURE(cols);
      const auto y = test::random_elements<T>(rows * cols, 1);
      const auto bias = test::random_values<float>(cols, 2);
      std::vector<float> expected;
      for (std::size_t i = 0; i < y.size(); ++i)
        expected.push_back(cuda::widened(cuda::rounded<T>(cuda::widened(y[i]) + bias[i % bias.size()])));
      const test::OnDevice<T> sum(device, y, rows, cols);
      const test::OnDevice<float> added(device, bias);
      device.launch(cuda::AddBias<T>{added.data(), sum.rows()});
      CHECK(test::widened(sum.values()) == expected);
    }
  });
}

TEST_CASE_TEMPLATE("AddRows adds and rounds once", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    check_sum<T, float>(device);
    check_sum<T, T>(device);
    check_sum<float, T>(device);
  });
}
