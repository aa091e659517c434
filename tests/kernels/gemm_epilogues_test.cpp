#include <doctest/doctest.h>

#include <cmath>

#include "embedpool/testing/shuffled_executor.hpp"
#include "kernels/gemm_products.hpp"

using namespace embedpool;

TEST_CASE_TEMPLATE("epilogues do what they say, in whole registers and in the rest", S, float, double) {
  const Index columns = simd::Tile<S>::width + simd::lanes<S> + 3, depth = 19, rows = 7;
  const auto a = test::random_values<S>(rows * depth, 9), w = test::random_values<S>(columns * depth, 10),
             up = test::random_values<S>(columns * depth, 11), bias = test::random_values<S>(columns, 12),
             start = test::random_values<S>(rows * columns, 13);
  SerialExecutor executor;
  const Rows<const S> rows_a(a.data(), rows, depth);
  const auto plain = test::product<S>(a, rows, test::view_of(w, columns, depth), executor);
  const auto of_up = test::product<S>(a, rows, test::view_of(up, columns, depth), executor);
  std::vector<S> with_bias(plain.size()), added = start, gated(plain.size());
  const auto rows_of = [&](std::vector<S>& values) { return Rows<S>(values.data(), rows, columns); };
  gemm_nt(rows_a, test::view_of(w, columns, depth), StoreBias<S>{rows_of(with_bias), bias.data()}, executor);
  gemm_nt(rows_a, test::view_of(w, columns, depth), AddTo<S>{rows_of(added)}, executor);
  gemm_nt_gated<Silu>(rows_a, test::view_of(w, columns, depth), test::view_of(up, columns, depth), rows_of(gated),
                      executor);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    REQUIRE(with_bias[i] == plain[i] + bias[i % bias.size()]);
    REQUIRE(added[i] == start[i] + plain[i]);
    // The exponential of a register and of a single value may differ in the last places.
    REQUIRE(gated[i] ==
            doctest::Approx(Silu::value(plain[i]) * of_up[i]).epsilon(16 * std::numeric_limits<S>::epsilon()));
  }
}

TEST_CASE("a product is scaled by rows, and rounded to bfloat16, as its epilogue says") {
  const Index columns = simd::Tile<float>::width + simd::lanes<float> + 3, depth = 19, rows = 7;
  const auto a = test::random_values<float>(rows * depth, 9), w = test::random_values<float>(columns * depth, 10),
             scale = test::random_values<float>(rows, 14);
  SerialExecutor executor;
  const Rows<const float> rows_a(a.data(), rows, depth);
  const auto plain = test::product<float>(a, rows, test::view_of(w, columns, depth), executor);
  std::vector<float> scaled(plain.size());
  std::vector<bf16> rounded(plain.size());
  gemm_nt(rows_a, test::view_of(w, columns, depth),
          StoreRowsScaled<float>{{scaled.data(), rows, columns}, scale.data()}, executor);
  gemm_nt(rows_a, test::view_of(w, columns, depth), StoreBfloat16{{rounded.data(), rows, columns}}, executor);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    REQUIRE(scaled[i] == plain[i] * scale[i / static_cast<std::size_t>(columns)]);
    REQUIRE(rounded[i].bits == to_bf16(plain[i]).bits);
  }
}

TEST_CASE("rows of a product are summed by text in rising order, whatever the threads") {
  // Long enough that rows would be split among the workers, and sums over k among blocks of it.
  const Index columns = 3 * simd::Tile<float>::width + 5, depth = 2100, rows = 130;
  const auto a = test::random_values<float>(rows * depth, 9), w = test::random_values<float>(columns * depth, 10);
  std::vector<Index> text_of(static_cast<std::size_t>(rows));
  for (Index i = 0; i < rows; ++i) text_of[static_cast<std::size_t>(i)] = i < 60 ? 0 : i < 61 ? 1 : 2;
  SerialExecutor serial;
  const auto plain = test::product<float>(a, rows, test::view_of(w, columns, depth), serial);
  std::vector<float> expected(static_cast<std::size_t>(3 * columns), 0.0f);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j)
      expected[static_cast<std::size_t>(text_of[static_cast<std::size_t>(i)] * columns + j)] +=
          plain[static_cast<std::size_t>(i * columns + j)];
  for (const Index workers : {1, 2, 5}) {
    testing::ShuffledExecutor executor(workers);
    std::vector<float> pooled(expected.size(), 0.0f);
    gemm_nt(Rows<const float>(a.data(), rows, depth), test::view_of(w, columns, depth),
            AddToText<float>{{pooled.data(), 3, columns}, text_of.data()}, executor);
    CHECK(pooled == expected);
  }
}

TEST_CASE_TEMPLATE("the gated product agrees with its definition for every activation", S, float, double) {
  const Index columns = simd::Tile<S>::width + 3, depth = 40, rows = 7;
  const auto a = test::random_values<S>(rows * depth, 23), gate = test::random_values<S>(columns * depth, 24),
             up = test::random_values<S>(columns * depth, 25);
  SerialExecutor executor;
  const auto check = [&]<class Activation>(Activation) {
    std::vector<S> expected(static_cast<std::size_t>(rows * columns)), got = expected;
    const Rows<const S> rows_a(a.data(), rows, depth);
    const WeightView of_gate = test::view_of(gate, columns, depth), of_up = test::view_of(up, columns, depth);
    scalar::gemm_nt_gated<Activation>(rows_a, of_gate, of_up, Rows<S>(expected.data(), rows, columns));
    gemm_nt_gated<Activation>(rows_a, of_gate, of_up, Rows<S>(got.data(), rows, columns), executor);
    for (std::size_t i = 0; i < got.size(); ++i)  // both factors are sums of `depth` products, of size up to 30
      REQUIRE(std::abs(static_cast<double>(got[i] - expected[i])) <= 60.0 * test::chain_tolerance<S>(depth));
  };
  check(Silu{});
  check(GeluTanh{});
  check(GeluErf{});
}
