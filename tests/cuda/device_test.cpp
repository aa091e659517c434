#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/scale_rows.cuh"

using namespace embedpool;

namespace {
/// Whether a device may round before it adds a bias to what was there: cuBLASLt does (seen on compute capability 9.0).
#ifdef EMBEDPOOL_TEST_ON_GPU
constexpr bool rounds_before_bias = true;
#else
constexpr bool rounds_before_bias = false;
#endif

/// A matrix whose rows are longer than what is used of them.
template <class T>
struct Strided {
  static constexpr Index more = 3;
  std::vector<T> values;
  Index rows, cols;
  Strided(Index rows_, Index cols_, unsigned seed)
      : values(test::random_elements<T>(rows_ * (cols_ + more), seed)), rows(rows_), cols(cols_) {}
  double operator()(Index i, Index j) const {
    return cuda::widened(values[static_cast<std::size_t>(i * (cols + more) + j)]);
  }
};
template <class T>
Rows<T> used(const test::OnDevice<T>& on_device, const Strided<T>& of) {
  return on_device.rows().middle_cols(0, of.cols);
}

/// One product on the device against the sum that defines it.
template <class T, class U>
void check_product(test::TestDevice& device, Index rows, Index inner, Index cols, bool left_transposed,
                   bool right_transposed, float alpha, float beta, bool biased = false) {
  CAPTURE(rows);
  CAPTURE(inner);
  CAPTURE(left_transposed);
  CAPTURE(right_transposed);
  CAPTURE(beta);
  CAPTURE(biased);
  const Strided<T> left(left_transposed ? inner : rows, left_transposed ? rows : inner, 1);
  const Strided<T> right(right_transposed ? cols : inner, right_transposed ? inner : cols, 2);
  Strided<U> out(rows, cols, 3);
  const std::vector<U> bias = test::random_elements<U>(cols, 4);
  if (beta == 0) out.values.assign(out.values.size(), cuda::rounded<U>(std::nanf("")));
  std::vector<double> expected;
  double bound = 1e-30;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) {
      double sum = 0, sizes = 0;
      for (Index k = 0; k < inner; ++k) {
        const double a = left_transposed ? left(k, i) : left(i, k), b = right_transposed ? right(j, k) : right(k, j);
        sum += a * b;
        sizes += std::abs(a * b);
      }
      const double before = beta != 0 ? double(beta) * out(i, j) : 0;
      const double added = biased ? cuda::widened(bias[static_cast<std::size_t>(j)]) : 0.0;
      expected.push_back(double(alpha) * sum + before + added);
      // Float sums of `inner` products lose at most that many roundings of what was added; then one rounding to U, or
      // two where a bias is added to what was there.
      const double sums = double(inner) * 0x1p-24 * std::abs(alpha) * sizes + 0x1p-23 * (std::abs(before) + std::abs(added));
      const double rounded_first = rounds_before_bias && biased && beta != 0 ? std::abs(expected.back() - added) : 0;
      bound = std::max(bound, sums + test::rounding<U> * (std::abs(expected.back()) + rounded_first));
    }
  const test::OnDevice<T> left_there(device, left.values, left.rows, left.cols + left.more);
  const test::OnDevice<T> right_there(device, right.values, right.rows, right.cols + right.more);
  const test::OnDevice<U> out_there(device, out.values, out.rows, out.cols + out.more), bias_there(device, bias);
  device.multiply(cuda::Product<T, U>{used(left_there, left), used(right_there, right), used(out_there, out),
                                      left_transposed, right_transposed, alpha, beta,
                                      biased ? bias_there.data() : nullptr});
  const std::vector<U> untouched = out.values;
  out.values = out_there.values();
  double error = 0;
  bool outside_kept = true;
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      const double difference = std::abs(out(i, j) - expected[static_cast<std::size_t>(i * cols + j)]);
      if (!(difference <= error)) error = difference;
    }
    for (Index j = cols; j < cols + out.more; ++j) {
      const auto at = static_cast<std::size_t>(i * (cols + out.more) + j);
      outside_kept &= std::memcmp(&out.values[at], &untouched[at], sizeof(U)) == 0;
    }
  }
  CHECK(error <= bound);
  CHECK(outside_kept);
}

template <class T, class U>
void check_products(test::TestDevice& device) {
  for (const bool left_transposed : {false, true})
    for (const bool right_transposed : {false, true}) {
      check_product<T, U>(device, 5, 19, 7, left_transposed, right_transposed, 1, 0);
      check_product<T, U>(device, 40, 16, 24, left_transposed, right_transposed, 0.5f, 1);
      check_product<T, U>(device, 1, 33, 1, left_transposed, right_transposed, 1, 2);
      check_product<T, U>(device, 5, 19, 7, left_transposed, right_transposed, 1, 0, true);
      check_product<T, U>(device, 40, 16, 24, left_transposed, right_transposed, 0.5f, 1, true);
    }
}
}  // namespace

TEST_CASE(
    "a product is the sum that defines it, of every type, either side transposed, with strides, a bias and what was there") {
  test::on_every_device([](test::TestDevice& device) {
    check_products<float, float>(device);
    check_products<bf16, bf16>(device);
    check_products<f16, f16>(device);
    check_products<bf16, float>(device);
    check_products<f16, float>(device);
  });
}

TEST_CASE("products of one shape have a bias each") {
  test::on_every_device([](test::TestDevice& device) {
    const test::OnDevice<float> x(device, {1, 2}, 2, 1), w(device, {3, 5, 7}, 3, 1), out(device, std::vector<float>(6), 2, 3);
    const test::OnDevice<float> biases(device, {10, 20, 30, 40, 50, 60});
    const auto product = [&](Index first) {
      const Rows<const float> left = x.rows(), right = w.rows();
      device.multiply(cuda::linear<float, float>(left, right, out.rows(), 0, biases.data() + first));
      return out.values();
    };
    CHECK(product(0) == std::vector<float>{13, 25, 37, 16, 30, 44});
    CHECK(product(3) == std::vector<float>{43, 55, 67, 46, 60, 74});
  });
}

TEST_CASE("a product of nothing leaves beta times what was there") {
  test::on_every_device([](test::TestDevice& device) {
    for (const float beta : {0.0f, 1.0f, 0.5f}) check_product<bf16, float>(device, 3, 0, 5, false, true, 1, beta);
    check_product<float, float>(device, 0, 4, 5, false, true, 1, 0);
    check_product<float, float>(device, 4, 3, 0, false, true, 1, 0);
  });
}

TEST_CASE("sides that do not fit are refused") {
  test::on_every_device([](test::TestDevice& device) {
    float x[12];  // never read
    const Rows<float> rows(x, 3, 4), other(x, 2, 6);
    CHECK_THROWS_AS(device.multiply(cuda::linear<float, float>(rows, other, rows)), ShapeError);
    CHECK_THROWS_AS(device.multiply(cuda::linear_input_gradient<float, float>(rows, rows, rows)), ShapeError);
    const Rows<float> none(x, 3, 0), wide(x, 4, 0);
    CHECK_THROWS_WITH_AS(device.multiply(cuda::linear<float, float>(none, wide, rows, 0, x)), doctest::Contains("bias"), ShapeError);
  });
}

TEST_CASE("copies and clears arrive in order, of no bytes as well") {
  test::on_every_device([](test::TestDevice& device) {
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    const test::OnDevice<float> a(device, values), b(device, std::vector<float>(6));
    device.copy(b.data(), a.data(), 6 * sizeof(float));
    device.clear(a.data() + 1, 2 * sizeof(float));
    device.copy(b.data(), nullptr, 0);
    device.clear(nullptr, 0);
    CHECK(b.values() == values);
    CHECK(a.values() == std::vector<float>{1, 0, 0, 4, 5, 6});
  });
}

TEST_CASE_TEMPLATE("ScaleRows multiplies, and makes zero of anything", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    const auto values = test::random_elements<T>(3 * 200, 1);
    const test::OnDevice<T> scaled(device, values, 3, 200),
        none(device, std::vector<T>(5, cuda::rounded<T>(std::nanf(""))));
    device.launch(cuda::ScaleRows<T>{scaled.rows(), 0.5f});
    device.launch(cuda::ScaleRows<T>{none.rows(), 0});
    device.launch(cuda::ScaleRows<T>{scaled.rows().middle_rows(0, 0), 9});
    auto expected = test::widened(values);
    for (float& x : expected) x = cuda::widened(cuda::rounded<T>(0.5f * x));
    CHECK(test::widened(scaled.values()) == expected);
    CHECK(test::widened(none.values()) == std::vector<float>(5));
  });
}
