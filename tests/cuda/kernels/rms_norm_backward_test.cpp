#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/rms_norm_backward.cuh"
#include "embedpool/kernels/norm_backward.hpp"
#include "embedpool/nn/head_norm_backward.hpp"

using namespace embedpool;

namespace {

SerialExecutor executor;
constexpr float epsilon = 1e-5f;

Rows<const float> matrix(const std::vector<float>& values, Index rows) {
  return {values.data(), rows, static_cast<Index>(values.size()) / rows};
}

/// 1 / sqrt(mean(x^2) + eps) of every row.
std::vector<float> scales_of(Rows<const float> x) {
  std::vector<float> scales;
  for (Index i = 0; i < x.rows; ++i) {
    double squares = 0;
    for (const float value : x.row(i)) squares += double(value) * value;
    scales.push_back(static_cast<float>(1 / std::sqrt(squares / static_cast<double>(x.cols) + epsilon)));
  }
  return scales;
}

}  // namespace

TEST_CASE_TEMPLATE("RmsNormBackward adds what the CPU's rms_norm_backward adds", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index width : {1, 8, 31, 257, 1024}) {
      CAPTURE(width);
      const Index rows = 3;
      const auto x = test::random_values<float>(rows * width, 1), gain = test::random_values<float>(width, 2);
      const auto dy = test::random_elements<T>(rows * width, 3);
      const auto before = test::random_values<float>(rows * width, 4);
      std::vector<float> expected = before;
      rms_norm_backward(matrix(x, rows), gain.data(), epsilon, matrix(test::widened(dy), rows),
                        Rows<float>(expected.data(), rows, width), executor);
      const test::OnDevice<float> input(device, x, rows, width), weight(device, gain), dx(device, before, rows, width),
          scales(device, std::vector<float>(3));
      const test::OnDevice<T> gradient(device, dy, rows, width);
      device.launch(cuda::RmsNormBackward<float, T>{input.rows(), weight.data(), epsilon, gradient.rows(), dx.rows(),
                                                    scales.data()});
      // Two sums over `width` values in float on both sides, relative to terms of about 1.
      const double bound = 8 * 0x1p-24 * std::sqrt(static_cast<double>(width) + 8);
      CHECK(test::relative_error(dx.values(), expected) <= bound);
      CHECK(test::relative_error(scales.values(), scales_of(matrix(x, rows))) <= bound);
    }
  });
}

TEST_CASE_TEMPLATE("RmsNormBackward reads rounded inputs too", T, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    const Index rows = 2, width = 264;
    const auto x = test::random_elements<T>(rows * width, 1), dy = test::random_elements<T>(rows * width, 3);
    const auto gain = test::random_values<float>(width, 2);
    std::vector<float> expected(x.size());
    rms_norm_backward(matrix(test::widened(x), rows), gain.data(), epsilon, matrix(test::widened(dy), rows),
                      Rows<float>(expected.data(), rows, width), executor);
    const test::OnDevice<T> input(device, x, rows, width), gradient(device, dy, rows, width);
    const test::OnDevice<float> weight(device, gain), dx(device, std::vector<float>(x.size()), rows, width);
    device.launch(cuda::RmsNormBackward<T, T>{input.rows(), weight.data(), epsilon, gradient.rows(), dx.rows()});
    CHECK(test::relative_error(dx.values(), expected) <= 8 * 0x1p-24 * std::sqrt(static_cast<double>(width)));
  });
}

TEST_CASE_TEMPLATE("the gradient of a gain is the CPU's, over few rows and over several slices of them", T, float, bf16,
                   f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const auto& shape : {std::pair<Index, Index>{1, 1}, {5, 257}, {256, 8}, {257, 31}, {600, 136}}) {
      const Index rows = shape.first, width = shape.second;
      CAPTURE(rows);
      CAPTURE(width);
      const auto x = test::random_values<float>(rows * width, 1), before = test::random_values<float>(width, 2);
      const auto dy = test::random_elements<T>(rows * width, 3);
      std::vector<float> expected = before;
      rms_norm_gain_backward(matrix(x, rows), epsilon, matrix(test::widened(dy), rows), expected.data(), executor);
      const test::OnDevice<float> input(device, x, rows, width), scales(device, scales_of(matrix(x, rows))),
          dgain(device, before);
      const test::OnDevice<T> gradient(device, dy, rows, width);
      cuda::DeviceBuffer<float> parts;
      cuda::rms_norm_gain_backward(device, Rows<const float>(input.rows()), 1, scales.data(),
                                   Rows<const T>(gradient.rows()), dgain.data(), parts);
      // Sums of `rows` values of about 1 in float on both sides.
      CHECK(test::relative_error(dgain.values(), expected) <= 0x1p-24 * static_cast<double>(rows + 16));
    }
  });
}

TEST_CASE_TEMPLATE("the gradient of a gain that heads share sums over rows and heads", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    for (const auto& shape : {std::array<Index, 3>{1, 1, 2}, {3, 5, 31}, {40, 9, 64}}) {
      const Index rows = shape[0], heads = shape[1], head_dim = shape[2];
      CAPTURE(head_dim);
      const Index width = heads * head_dim, stride = width + 64;  // a view of a wider matrix
      const auto x = test::random_elements<T>(rows * stride, 1), dy = test::random_elements<T>(rows * width, 2);
      std::vector<float> wide_x, dx(dy.size()), gain(static_cast<std::size_t>(head_dim), 1.0f);
      for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < width; ++j) wide_x.push_back(cuda::widened(x[static_cast<std::size_t>(i * stride + j)]));
      Matrix<float> expected = Matrix<float>::Constant(1, head_dim, 0.5f);
      const auto wide_dy = test::widened(dy);
      head_norm_backward(matrix(wide_x, rows), heads, TrainedGain<float>{&gain, &expected}, epsilon,
                         matrix(wide_dy, rows), Rows<float>(dx.data(), rows, width), executor);
      const test::OnDevice<T> input(device, x, rows, stride), gradient(device, dy, rows, width);
      const test::OnDevice<float> scales(device, scales_of(matrix(wide_x, rows * heads))),
          dgain(device, std::vector<float>(static_cast<std::size_t>(head_dim), 0.5f));
      cuda::DeviceBuffer<float> parts;
      cuda::rms_norm_gain_backward(device, Rows<const T>(input.rows().middle_cols(0, width)), heads, scales.data(),
                                   Rows<const T>(gradient.rows()), dgain.data(), parts);
      const std::vector<float> sums(expected.data(), expected.data() + head_dim);
      CHECK(test::relative_error(dgain.values(), sums) <= 0x1p-24 * static_cast<double>(rows * heads + 16));
    }
  });
}
