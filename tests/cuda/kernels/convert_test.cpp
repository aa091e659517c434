#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/convert.cuh"

using namespace embedpool;

namespace {
constexpr std::pair<Index, Index> shapes[] = {{1, 1}, {5, 31}, {3, 257}, {2, 1024}, {1, 4096}, {2, 4097}, {1, 8208}};

template <class From, class To>
void check_conversion(test::TestDevice& device) {
  for (const auto& shape : shapes) {
    const Index rows = shape.first, cols = shape.second;
    CAPTURE(rows);
    CAPTURE(cols);
    const auto values = test::random_elements<From>(rows * cols, 1);
    std::vector<float> expected;
    for (const From x : values) expected.push_back(cuda::widened(cuda::rounded<To>(cuda::widened(x))));
    const test::OnDevice<From> from(device, values, rows, cols);
    const test::OnDevice<To> to(device, test::random_elements<To>(rows * cols, 2), rows, cols);
    device.launch(cuda::Convert<From, To>{from.rows(), to.rows()});
    CHECK(test::widened(to.values()) == expected);
  }
}
}  // namespace

TEST_CASE_TEMPLATE("Convert rounds once, in either direction", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    check_conversion<float, T>(device);
    check_conversion<T, float>(device);
    check_conversion<T, T>(device);
  });
}

TEST_CASE("Convert writes to its view alone") {
  test::on_every_device([](test::TestDevice& device) {
    const test::OnDevice<float> from(device, test::random_values<float>(16, 1), 2, 8);
    const test::OnDevice<bf16> to(device, std::vector<bf16>(2 * 24), 2, 24);
    device.launch(cuda::Convert<float, bf16>{from.rows(), to.rows().middle_cols(8, 8)});
    const std::vector<float> got = test::widened(to.values()), values = from.values();
    for (std::size_t i = 0; i < got.size(); ++i) {
      const std::size_t row = i / 24, j = i % 24;
      const bool inside = 8 <= j && j < 16;
      CHECK(got[i] == (inside ? cuda::widened(cuda::rounded<bf16>(values[row * 8 + j - 8])) : 0.0f));
    }
  });
}

TEST_CASE_TEMPLATE("Fill reaches every value", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const auto& shape : shapes) {
      const Index rows = shape.first, cols = shape.second;
      CAPTURE(rows);
      CAPTURE(cols);
      const test::OnDevice<T> x(device, test::random_elements<T>(rows * cols, 3), rows, cols);
      device.launch(cuda::Fill<T>{-1.5f, x.rows()});
      CHECK(test::widened(x.values()) == std::vector<float>(static_cast<std::size_t>(rows * cols), -1.5f));
    }
  });
}
