#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "embedpool/testing/shuffled_executor.hpp"
#include "kernels/int8_weights.hpp"

using namespace embedpool;
using embedpool::test::as_rows;
using embedpool::test::int8_formats;
using embedpool::test::StoredWeights;

namespace {

constexpr Index width = simd::Tile<float>::width;

template <class E = SerialExecutor>
std::vector<float> product(const std::vector<float>& a, Index rows, const WeightView& w, E&& executor = E{}) {
  std::vector<float> c(static_cast<std::size_t>(rows * w.rows), -1.0f);
  int8_gemm_nt(as_rows(a, rows), w, StoreTo<float>{Rows<float>(c.data(), rows, w.rows)}, executor);
  return c;
}

std::vector<float> defined_product(const std::vector<float>& a, Index rows, const WeightView& w) {
  SerialExecutor executor;
  std::vector<float> c(static_cast<std::size_t>(rows * w.rows));
  scalar::int8_gemm_nt(quantize_rows(as_rows(a, rows), executor), w, Rows<float>(c.data(), rows, w.rows));
  return c;
}

/// Equal bits, or both NaN.
bool same_values(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

}  // namespace

TEST_CASE("the product has the bits of its definition, for every format and remainder") {
  for (const Format format : int8_formats()) {
    CAPTURE(std::string(info(format).name));
    const Index block = info(format).block_values;
    for (const Index depth : {block, 3 * block}) {
      for (Index rows = 1; rows <= 13; ++rows) {
        const Index columns = width + rows;  // remainders of columns beside those of rows
        const StoredWeights w(format, columns, depth, 3);
        const auto a = test::random_values<float>(rows * depth, 4);
        REQUIRE(product(a, rows, w.view) == defined_product(a, rows, w.view));
      }
      for (const Index columns : {Index(1), simd::lanes<float> - 1, width - 1, width, 2 * width + 3}) {
        const StoredWeights w(format, columns, depth, 5);
        const auto a = test::random_values<float>(7 * depth, 6);
        REQUIRE(product(a, 7, w.view) == defined_product(a, 7, w.view));
      }
    }
  }
}

TEST_CASE("sums that are split, for rows too long for one panel, have the bits of the definition") {
  const Index depth = 4096 * 64 / width + 256, columns = 5, rows = 14;
  for (const Format format : {Format::Q4_1, Format::Q8_0, Format::Q5_K}) {
    CAPTURE(std::string(info(format).name));
    const StoredWeights w(format, columns, depth, 24);
    const auto a = test::random_values<float>(rows * depth, 26);
    REQUIRE(product(a, rows, w.view) == defined_product(a, rows, w.view));
  }
}

TEST_CASE("a row has the same bits alone, in any batch, with any number of workers and whatever its neighbours") {
  struct Size {
    Index rows, columns, depth;
  };
  for (const Size& size : {Size{101, 3 * width + 5, 4096 * 64 / width + 256},  // the sums are split once
                           Size{101, 40 * width + 3, 64},                      // jobs of several panels
                           Size{47, 6 * width + 1, 64}}) {                     // few rows, split for the last panels
    const StoredWeights w(Format::Q4_1, size.columns, size.depth, 7);
    auto a = test::random_values<float>(size.rows * size.depth, 8);
    const auto together = product(a, size.rows, w.view);
    for (const Index workers : {1, 2, 3, 5}) {
      CAPTURE(workers);
      CHECK(product(a, size.rows, w.view, testing::ShuffledExecutor(workers)) == together);
    }
    CHECK(product(a, size.rows, w.view, DefaultExecutor{}) == together);
    for (const Index i : {Index(0), Index(1), size.rows / 2, size.rows - 1}) {
      const std::vector<float> row(a.begin() + i * size.depth, a.begin() + (i + 1) * size.depth);
      const auto alone = product(row, 1, w.view);
      CHECK(std::equal(alone.begin(), alone.end(), together.begin() + i * size.columns));
    }
  }
}

TEST_CASE("the error is that of rounding activations, at most twice that of the plain product of rounded values") {
  const Index rows = 9, columns = width + 6, depth = 768;
  for (const Format format : int8_formats()) {
    CAPTURE(std::string(info(format).name));
    const StoredWeights w(format, columns, depth, 9);
    const auto a = test::random_values<float>(rows * depth, 10);
    const auto got = product(a, rows, w.view);
    SerialExecutor executor;
    const QuantizedRows quantized = quantize_rows(as_rows(a, rows), executor);
    std::vector<double> weights(static_cast<std::size_t>(depth));
    double largest_got = 0, largest_plain = 0;
    for (Index n = 0; n < columns; ++n) {
      decode_row(w.view, n, weights.data());
      for (Index i = 0; i < rows; ++i) {
        double exact = 0, plain = 0;
        for (Index k = 0; k < depth; ++k) {
          const double weight = weights[static_cast<std::size_t>(k)];
          exact += static_cast<double>(a[static_cast<std::size_t>(i * depth + k)]) * weight;
          plain += double(quantized.values()(i, k)) * double(quantized.blocks()(i, k / 32).scale) * weight;
        }
        largest_plain = std::max(largest_plain, std::abs(plain - exact));
        largest_got = std::max(largest_got,
                               std::abs(static_cast<double>(got[static_cast<std::size_t>(i * columns + n)]) - exact));
      }
    }
    CHECK(largest_got <= 2 * largest_plain);
    CHECK(largest_plain > 0);
  }
}

TEST_CASE("no sum of integers overflows: extreme weights and activations have the bits of the definition") {
  for (const Format format : int8_formats())
    for (const int byte : {0x00, 0xff, 0x80, 0x7f}) {
      CAPTURE(std::string(info(format).name));
      CAPTURE(byte);
      const Index depth = 512, columns = width + 1, rows = 7;
      StoredWeights w(format, columns, depth, 11);
      // Integers at an extreme behind the finite factors that a block begins with.
      const Index bytes = info(format).block_bytes;
      for (Index b = 0; b < columns * depth / info(format).block_values; ++b) {
        const Index kept = format == Format::Q4_1 || format == Format::Q5_1 || bytes > 100 ? 4 : 2;
        for (Index i = kept; i < bytes; ++i)
          w.blocks[static_cast<std::size_t>(b * bytes + i)] = static_cast<std::byte>(byte);
      }
      std::vector<float> a(static_cast<std::size_t>(rows * depth));
      for (Index i = 0; i < rows; ++i)
        for (Index k = 0; k < depth; ++k)
          a[static_cast<std::size_t>(i * depth + k)] = i % 3 == 0 ? 5.0f : i % 3 == 1 ? -5.0f : (k % 2 ? 5.0f : -5.0f);
      REQUIRE(product(a, rows, w.view) == defined_product(a, rows, w.view));
    }
}

TEST_CASE("a row with a value that is not finite is NaN, and touches no other row") {
  const Index rows = 8, depth = 96, columns = width + 3;
  for (const Format format : {Format::Q4_0, Format::Q4_1, Format::Q8_0})
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
      const StoredWeights w(format, columns, depth, 12);
      auto a = test::random_values<float>(rows * depth, 13);
      const auto clean = product(a, rows, w.view);
      a[static_cast<std::size_t>(3 * depth + 70)] = bad;
      const auto got = product(a, rows, w.view);
      for (Index i = 0; i < rows; ++i)
        for (Index n = 0; n < columns; ++n) {
          const auto at = static_cast<std::size_t>(i * columns + n);
          if (i == 3)
            REQUIRE(std::isnan(got[at]));
          else
            REQUIRE(got[at] == clean[at]);
        }
      CHECK(same_values(got, defined_product(a, rows, w.view)));
    }
}

TEST_CASE("zeros give zeros, and large activations finite results") {
  const Index rows = 3, depth = 64, columns = 5;
  for (const Format format : int8_formats()) {
    const Index cols = std::max(depth, info(format).block_values);
    const StoredWeights w(format, columns, cols, 14);
    const std::vector<float> zeros(static_cast<std::size_t>(rows * cols), 0.0f);
    for (const float sum : product(zeros, rows, w.view)) CHECK(sum == 0.0f);
    const std::vector<float> large(static_cast<std::size_t>(rows * cols), 1e30f);
    for (const float sum : product(large, rows, w.view)) CHECK(std::isfinite(sum));
  }
}

TEST_CASE("epilogues get each sum once and whole, from floats and from rows quantised once, split or not") {
  const Index columns = width + simd::lanes<float> + 3, rows = 7;
  const auto bias = test::random_values<float>(columns, 16), start = test::random_values<float>(rows * columns, 17);
  for (const Index depth : {Index(96), 4096 * 64 / width + 256}) {
    CAPTURE(depth);
    const auto a = test::random_values<float>(rows * depth, 15);
    const StoredWeights w(Format::Q4_0, columns, depth, 18);
    const auto plain = product(a, rows, w.view);
    std::vector<float> with_bias(plain.size()), added = start;
    SerialExecutor executor;
    const QuantizedRows quantized = quantize_rows(as_rows(a, rows), executor);
    int8_gemm_nt(quantized, w.view, StoreBias<float>{Rows<float>(with_bias.data(), rows, columns), bias.data()},
                 executor);
    int8_gemm_nt(quantized, w.view, AddTo<float>{Rows<float>(added.data(), rows, columns)}, executor);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      REQUIRE(with_bias[i] == plain[i] + bias[i % bias.size()]);
      REQUIRE(added[i] == start[i] + plain[i]);
    }
  }
}

TEST_CASE("the gated product is that of its two products, also of different formats") {
  const Index columns = width + 3, depth = 512, rows = 7;
  const auto a = test::random_values<float>(rows * depth, 19);
  for (const Format of_gate : int8_formats())
    for (const Format of_up : {of_gate, Format::Q4_0, Format::Q5_1, Format::Q8_0}) {
      CAPTURE(std::string(info(of_gate).name));
      CAPTURE(std::string(info(of_up).name));
      const StoredWeights gate(of_gate, columns, depth, 20), up(of_up, columns, depth, 21);
      std::vector<float> got(static_cast<std::size_t>(rows * columns));
      DefaultExecutor executor;
      int8_gemm_nt_gated<Silu>(as_rows(a, rows), gate.view, up.view, Rows<float>(got.data(), rows, columns), executor);
      const auto first = product(a, rows, gate.view), second = product(a, rows, up.view);
      for (std::size_t i = 0; i < got.size(); ++i)  // exponentials of registers and single values differ a little
        REQUIRE(got[i] == doctest::Approx(Silu::value(first[i]) * second[i]).epsilon(1e-6));
    }
}

TEST_CASE("rows of A may lie apart and out of alignment, and a product may have no rows") {
  const Index depth = 64, columns = 40, rows = 8, stride = 71;
  const auto storage = test::random_values<float>(rows * stride + 1, 22);
  const StoredWeights w(Format::Q4_1, columns, depth, 23);
  const Rows<const float> apart(storage.data() + 1, rows, depth, stride);
  std::vector<float> packed, c(static_cast<std::size_t>(rows * columns));
  for (Index i = 0; i < rows; ++i) packed.insert(packed.end(), apart.row(i).begin(), apart.row(i).end());
  SerialExecutor executor;
  int8_gemm_nt(apart, w.view, StoreTo<float>{Rows<float>(c.data(), rows, columns)}, executor);
  CHECK(c == product(packed, rows, w.view));
  int8_gemm_nt(apart.middle_rows(0, 0), w.view, StoreTo<float>{Rows<float>(c.data(), 0, columns)}, executor);
  CHECK(c == product(packed, rows, w.view));
}
