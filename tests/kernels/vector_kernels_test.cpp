#include <doctest/doctest.h>

#include <cmath>

#include "embedpool/kernels/activation.hpp"
#include "embedpool/kernels/axpy.hpp"
#include "embedpool/kernels/norm.hpp"
#include "embedpool/kernels/rotary.hpp"
#include "embedpool/kernels/softmax.hpp"
#include "embedpool/kernels/transpose.hpp"
#include "kernels/random_values.hpp"

using namespace embedpool;

namespace {
template <Real S>
constexpr double epsilon = std::numeric_limits<S>::epsilon();
}

/// What xsimd calls the sum of a register up to version 8, and from 9 on.
namespace named_hadd {
struct Register {};
float hadd(Register) { return 8; }
}  // namespace named_hadd
namespace named_reduce_add {
struct Register {};
float reduce_add(Register) { return 9; }
}  // namespace named_reduce_add

TEST_CASE("the sum of a register is found by the name that it has in either version of xsimd") {
  CHECK(simd::sum_of_values(named_hadd::Register{}) == 8);
  CHECK(simd::sum_of_values(named_reduce_add::Register{}) == 9);
  CHECK(simd::sum_of_values(simd::Vector<float>(0.5f)) == 0.5f * static_cast<float>(simd::lanes<float>));
}

TEST_CASE_TEMPLATE("a bound from below lets NaN pass, in registers and in single values", S, float, double) {
  const S nan = std::numeric_limits<S>::quiet_NaN(), inf = std::numeric_limits<S>::infinity();
  for (const S x : {S(-3), S(-1000), S(-1001), S(2), inf, -inf, nan}) {
    alignas(64) S values[simd::Vector<S>::size];
    simd::at_least(simd::Vector<S>(S(-1000)), simd::Vector<S>(x)).store_aligned(values);
    for (const S bounded : {simd::at_least(S(-1000), x), values[0]})
      CHECK((std::isnan(x) ? std::isnan(bounded) : bounded == std::max(S(-1000), x)));
  }
}

TEST_CASE_TEMPLATE("dot agrees with its definition at every remainder", S, float, double) {
  for (Index n = 0; n <= 3 * simd::lanes<S> + 1; ++n) {
    const auto a = test::random_values<S>(n, 1), b = test::random_values<S>(n, 2);
    CHECK(std::abs(static_cast<double>(simd::dot<S>(a, b) - scalar::dot<S>(a, b))) <=
          4.0 * static_cast<double>(n + 1) * epsilon<S>);  // another order of n terms of size 1
  }
}

TEST_CASE_TEMPLATE("a multiple of a row is added at every remainder, to the elements of the row alone", S, float,
                   double) {
  for (Index n = 0; n <= 3 * simd::lanes<S> + 1; ++n) {
    const auto x = test::random_values<S>(n, 10);
    auto y = test::random_values<S>(n + 1, 11);
    const auto before = y;
    auto expected = y;
    scalar::axpy<S>(S(1.7), x, expected.data());
    simd::axpy<S>(S(1.7), x, y.data());
    for (std::size_t i = 0; i < x.size(); ++i)  // rounded once or twice
      CHECK(std::abs(static_cast<double>(y[i] - expected[i])) <=
            4.0 * epsilon<S> * (std::abs(static_cast<double>(x[i])) + 1.0));
    CHECK(y.back() == before.back());
  }
}

TEST_CASE_TEMPLATE("softmax agrees with its definition at every remainder, and with extreme values", S, float, double) {
  for (Index n = 1; n <= 3 * simd::lanes<S> + 1; ++n)
    for (const S scale : {S(1), S(50), S(3000)}) {
      auto a = test::random_values<S>(n, 3);
      for (S& value : a) value *= scale;
      auto b = a;
      scalar::softmax(std::span<S>(a));
      simd::softmax(std::span<S>(b));
      S sum = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        sum += b[i];
        REQUIRE(std::abs(static_cast<double>(a[i] - b[i])) <= 16.0 * epsilon<S>);  // exponentials of 2 places, a sum
      }
      CHECK(static_cast<double>(sum) == doctest::Approx(1.0).epsilon(static_cast<double>(n + 8) * epsilon<S>));
    }
}

TEST_CASE_TEMPLATE("softmax gives exact zeros to scores far below the largest, and passes a NaN on", S, float, double) {
  for (const std::size_t n : {std::size_t(2), simd::Vector<S>::size + 1}) {
    std::vector<S> x(n, -std::numeric_limits<S>::max());
    x.front() = S(5);
    simd::softmax(std::span<S>(x));
    CHECK(x.front() == S(1));
    for (std::size_t i = 1; i < n; ++i) CHECK(x[i] == S(0));
    if (std::same_as<S, double>) continue;  // xsimd converts the exponent of a double in a way that sanitizers refuse for NaN
    x.back() = std::numeric_limits<S>::quiet_NaN();
    simd::softmax(std::span<S>(x));
    CHECK(std::isnan(x.back()));
  }
}

TEST_CASE_TEMPLATE("activations agree with double, value and derivative", S, float, double) {
  const auto check = [](auto activation, auto exact) {
    using A = decltype(activation);
    for (double x = -30.0; x <= 30.0; x += 0.01) {
      alignas(64) S values[simd::Vector<S>::size];
      A::value(simd::Vector<S>(static_cast<S>(x))).store_aligned(values);
      const double expected = exact(static_cast<double>(static_cast<S>(x)));
      // xsimd errs by a few places in exp, by some ten in erf of doubles, relative to x where terms cancel.
      const double tolerance = 64.0 * epsilon<S> * (std::abs(expected) + std::abs(x));
      REQUIRE(std::abs(static_cast<double>(values[0]) - expected) <= tolerance);
      REQUIRE(std::abs(static_cast<double>(A::value(static_cast<S>(x))) - expected) <= tolerance);
      const double step = 1e-5, slope = (exact(x + step) - exact(x - step)) / (2 * step);
      REQUIRE(std::abs(static_cast<double>(A::derivative(static_cast<S>(x))) - slope) <=
              1e-8 + 64.0 * epsilon<S> * (1.0 + std::abs(x)));
    }
  };
  check(Silu{}, [](double x) { return x / (1.0 + std::exp(-x)); });
  check(GeluErf{}, [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); });
  check(GeluTanh{}, [](double x) {
    return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
  });
}

TEST_CASE_TEMPLATE("norms agree with their formulas at every remainder, in place and with a large offset", S, float,
                   double) {
  SerialExecutor executor;
  for (Index n = 1; n <= 2 * simd::lanes<S> + 1; ++n) {
    auto x = test::random_values<S>(3 * n, 5);
    const auto gain = test::random_values<S>(n, 6), bias = test::random_values<S>(n, 7);
    for (Index i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] += S(1000);
    std::vector<S> rms(x.size()), layer(x.size()), in_place = x;
    const Rows<const S> rows(x.data(), 3, n);
    rms_norm(rows, gain.data(), S(1e-5), Rows<S>(rms.data(), 3, n), executor);
    layer_norm(rows, gain.data(), bias.data(), S(1e-5), Rows<S>(layer.data(), 3, n), executor);
    rms_norm(Rows<const S>(in_place.data(), 3, n), gain.data(), S(1e-5), Rows<S>(in_place.data(), 3, n), executor);
    CHECK(in_place == rms);
    for (Index i = 0; i < 3; ++i) {
      double square = 0, mean = 0, variance = 0;
      for (Index j = 0; j < n; ++j)
        square += std::pow(rows(i, j), 2) / static_cast<double>(n), mean += rows(i, j) / static_cast<double>(n);
      for (Index j = 0; j < n; ++j) variance += std::pow(rows(i, j) - mean, 2) / static_cast<double>(n);
      for (Index j = 0; j < n; ++j) {
        const auto g = static_cast<std::size_t>(j), k = static_cast<std::size_t>(i * n + j);
        const double by_rms = rows(i, j) / std::sqrt(square + 1e-5) * gain[g];
        const double by_layer = (rows(i, j) - mean) / std::sqrt(variance + 1e-5) * gain[g] + bias[g];
        // Sums of n squares; the offset of 1000 costs three decimal places of the centred value.
        REQUIRE(static_cast<double>(rms[k]) ==
                doctest::Approx(by_rms).epsilon(8.0 * static_cast<double>(n + 4) * epsilon<S>));
        REQUIRE(std::abs(static_cast<double>(layer[k]) - by_layer) <= 4000.0 * static_cast<double>(n + 4) * epsilon<S>);
      }
    }
  }
}

TEST_CASE_TEMPLATE("a rotation and norms by registers agree with their definitions at every remainder", S, float,
                   double) {
  for (Index n = 1; n <= 3 * simd::lanes<S> + 1; ++n) {
    std::vector<double> frequencies;
    for (Index i = 0; i < n; ++i) frequencies.push_back(1.0 / static_cast<double>(i + 1));
    const RotaryTable<S> table(frequencies, 4);
    for (const RotaryStyle style : {RotaryStyle::halves, RotaryStyle::interleaved})
      for (const S sign : {S(1), S(-1)}) {
        auto x = test::random_values<S>(2 * 2 * n, 12);
        auto y = x;
        scalar::rotate_row(x.data(), 2, 3, table, style, sign);
        simd::rotate_row(y.data(), 2, 3, table, style, sign);
        for (std::size_t i = 0; i < x.size(); ++i)  // two products of values up to 4, rounded once or twice
          REQUIRE(std::abs(static_cast<double>(x[i] - y[i])) <= 8.0 * epsilon<S>);
      }
    const auto x = test::random_values<S>(n, 13), gain = test::random_values<S>(n, 14),
               bias = test::random_values<S>(n, 15);
    std::vector<S> plain(x.size()), fast(x.size());
    const auto agrees = [&] {
      for (std::size_t i = 0; i < x.size(); ++i)  // another order of n terms, values up to 10
        REQUIRE(std::abs(static_cast<double>(plain[i] - fast[i])) <= 10.0 * static_cast<double>(n + 4) * epsilon<S>);
    };
    scalar::rms_norm_row<S>(x, gain.data(), S(1e-5), plain.data());
    simd::rms_norm_row<S>(x, gain.data(), S(1e-5), fast.data());
    agrees();
    scalar::layer_norm_row<S>(x, gain.data(), bias.data(), S(1e-5), plain.data());
    simd::layer_norm_row<S>(x, gain.data(), bias.data(), S(1e-5), fast.data());
    agrees();
  }
}

TEST_CASE_TEMPLATE("a strip is transposed at every width", S, float, double) {
  constexpr Index n = simd::lanes<S>;
  for (Index columns = 1; columns <= std::max<Index>(2 * n, 34) + 1; ++columns) {
    const auto in = test::random_values<S>(n * columns, 9);
    const Index stride = n + 3;
    std::vector<S> out(static_cast<std::size_t>(columns * stride));
    simd::transpose(Rows<const S>(in.data(), n, columns), out.data(), stride);
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < columns; ++j)
        REQUIRE(out[static_cast<std::size_t>(j * stride + i)] == in[static_cast<std::size_t>(i * columns + j)]);
  }
}
