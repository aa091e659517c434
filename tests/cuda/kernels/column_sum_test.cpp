#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/column_sum.cuh"
#include "embedpool/kernels/column_sum.hpp"

using namespace embedpool;

TEST_CASE_TEMPLATE("column_sum adds the CPU's column sums", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    cuda::DeviceBuffer<float> parts;
    for (const auto& shape : {std::pair<Index, Index>{1, 1}, {7, 257}, {9, 1024}, {256, 31}, {257, 8}, {1000, 136}}) {
      const Index rows = shape.first, width = shape.second;
      CAPTURE(rows);
      CAPTURE(width);
      const auto x = test::random_elements<T>(rows * width, 1);
      const auto before = test::random_values<float>(width, 2);
      std::vector<float> expected = before;
      SerialExecutor executor;
      const auto wide = test::widened(x);
      column_sum(Rows<const float>(wide.data(), rows, width), expected.data(), executor);
      const test::OnDevice<T> input(device, x, rows, width);
      const test::OnDevice<float> out(device, before);
      cuda::column_sum(device, Rows<const T>(input.rows()), out.data(), parts);
      // Sums of `rows` values of about 1 in float on both sides.
      CHECK(test::relative_error(out.values(), expected) <= 0x1p-24 * static_cast<double>(rows + 16));
    }
  });
}

TEST_CASE("a column's sum has the same bits whatever lies beside it") {
  test::on_every_device([](test::TestDevice& device) {
    cuda::DeviceBuffer<float> parts;
    const Index rows = 700;
    const auto column = test::random_values<float>(rows, 1);
    const auto sum_of = [&](Index width, Index at) {
      auto x = test::random_values<float>(rows * width, 2);
      for (Index i = 0; i < rows; ++i)
        x[static_cast<std::size_t>(i * width + at)] = column[static_cast<std::size_t>(i)];
      const test::OnDevice<float> input(device, x, rows, width),
          out(device, std::vector<float>(static_cast<std::size_t>(width)));
      cuda::column_sum(device, Rows<const float>(input.rows()), out.data(), parts);
      return out.values()[static_cast<std::size_t>(at)];
    };
    const float alone = sum_of(1, 0);
    CHECK(sum_of(5, 3) == alone);
    CHECK(sum_of(132, 131) == alone);
  });
}
