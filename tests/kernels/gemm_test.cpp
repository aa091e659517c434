#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "embedpool/kernels/gemm.hpp"
#include "kernels/random_values.hpp"

using namespace embedpool;

namespace {

template <Real S>
WeightView view_of(const std::vector<S>& values, Index rows, Index cols) {
  return {reinterpret_cast<const std::byte*>(values.data()), std::same_as<S, float> ? Format::F32 : Format::F64, rows, cols};
}

/// Rounding of a chain of K products of size 1 against another order: K epsilon, times 4 for the largest of many.
template <Real S>
double chain_tolerance(Index depth) {
  return 4.0 * static_cast<double>(depth) * std::numeric_limits<S>::epsilon();
}

template <Real S>
std::vector<S> product(const std::vector<S>& a, Index rows, const WeightView& w, auto&& executor) {
  std::vector<S> c(static_cast<std::size_t>(rows * w.rows), std::numeric_limits<S>::quiet_NaN());
  gemm_nt(Rows<const S>(a.data(), rows, w.cols), w, StoreTo<S>{Rows<S>(c.data(), rows, w.rows)}, executor);
  return c;
}

}  // namespace

TEST_CASE_TEMPLATE("the register-tile product agrees with the definition at every remainder", S, float, double) {
  constexpr Index lanes = simd::lanes<S>, width = simd::Tile<S>::width;
  SerialExecutor executor;
  for (const Index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13})
    for (Index columns = 1; columns <= 3 * lanes + 1; ++columns)
      for (const Index depth : {1, 5, 33}) {
        const auto a = test::random_values<S>(rows * depth, 1), w = test::random_values<S>(columns * depth, 2);
        const WeightView view = view_of(w, columns, depth);
        std::vector<S> expected(static_cast<std::size_t>(rows * columns));
        scalar::gemm_nt(Rows<const S>(a.data(), rows, depth), view, Rows<S>(expected.data(), rows, columns));
        const auto got = product<S>(a, rows, view, executor);
        for (std::size_t i = 0; i < got.size(); ++i)
          REQUIRE(std::abs(static_cast<double>(got[i] - expected[i])) <= chain_tolerance<S>(depth));
      }
  for (const Index columns : {width - 1, width, width + 1, 2 * width, 3 * width + lanes + 1}) {
    const auto a = test::random_values<S>(10 * 40, 3), w = test::random_values<S>(columns * 40, 4);
    std::vector<S> expected(static_cast<std::size_t>(10 * columns));
    scalar::gemm_nt(Rows<const S>(a.data(), 10, 40), view_of(w, columns, 40), Rows<S>(expected.data(), 10, columns));
    const auto got = product<S>(a, 10, view_of(w, columns, 40), executor);
    for (std::size_t i = 0; i < got.size(); ++i)
      REQUIRE(std::abs(static_cast<double>(got[i] - expected[i])) <= chain_tolerance<S>(40));
  }
}

TEST_CASE_TEMPLATE("a row has the same bits alone, in any batch and with any number of threads", S, float, double) {
  const Index depth = simd::depth_block<S> + 37, columns = simd::Tile<S>::width * 3 + 5, rows = 101;  // K is split once
  const auto a = test::random_values<S>(rows * depth, 5), w = test::random_values<S>(columns * depth, 6);
  const WeightView view = view_of(w, columns, depth);
  SerialExecutor serial;
  const auto together = product<S>(a, rows, view, serial);
  for (const Index threads : {1, 2, 3, 5}) {
    CAPTURE(threads);
#ifdef _OPENMP
    OpenMPExecutor executor(threads);
#else
    SerialExecutor executor;
#endif
    CHECK(product<S>(a, rows, view, executor) == together);
  }
  for (const Index i : {0, 1, 50, 100}) {
    const std::vector<S> row(a.begin() + i * depth, a.begin() + (i + 1) * depth);
    const auto alone = product<S>(row, 1, view, serial);
    CHECK(std::equal(alone.begin(), alone.end(), together.begin() + i * columns));
  }
}

TEST_CASE("weights are multiplied from every storage format") {
  constexpr Index columns = 70, depth = 512, rows = 9;
  SerialExecutor executor;
  const auto a = test::random_values<float>(rows * depth, 7);
  for (const Format format : test::every_format) {
    CAPTURE(std::string(info(format).name));
    const auto blocks = test::random_blocks(format, columns * depth / info(format).block_values, 8);
    const WeightView view{blocks.data(), format, columns, depth};
    std::vector<float> decoded(columns * depth);
    for (Index n = 0; n < columns; ++n) decode_row(view, n, decoded.data() + n * depth);
    // The same chain of operations on the decoded weights: the same bits.
    CHECK(product<float>(a, rows, view, executor) == product<float>(a, rows, view_of(decoded, columns, depth), executor));
  }
}

TEST_CASE_TEMPLATE("epilogues do what they say, in whole registers and in the rest", S, float, double) {
  const Index columns = simd::Tile<S>::width + simd::lanes<S> + 3, depth = 19, rows = 7;
  const auto a = test::random_values<S>(rows * depth, 9), w = test::random_values<S>(columns * depth, 10),
             up = test::random_values<S>(columns * depth, 11), bias = test::random_values<S>(columns, 12),
             start = test::random_values<S>(rows * columns, 13);
  SerialExecutor executor;
  const Rows<const S> rows_a(a.data(), rows, depth);
  const auto plain = product<S>(a, rows, view_of(w, columns, depth), executor);
  const auto of_up = product<S>(a, rows, view_of(up, columns, depth), executor);
  std::vector<S> with_bias(plain.size()), added = start, gated(plain.size());
  const auto rows_of = [&](std::vector<S>& values) { return Rows<S>(values.data(), rows, columns); };
  gemm_nt(rows_a, view_of(w, columns, depth), StoreBias<S>{rows_of(with_bias), bias.data()}, executor);
  gemm_nt(rows_a, view_of(w, columns, depth), AddTo<S>{rows_of(added)}, executor);
  gemm_nt_gated<Silu>(rows_a, view_of(w, columns, depth), view_of(up, columns, depth), rows_of(gated), executor);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    REQUIRE(with_bias[i] == plain[i] + bias[i % bias.size()]);
    REQUIRE(added[i] == start[i] + plain[i]);
    // The exponential of a register and of a single value may differ in the last places.
    REQUIRE(gated[i] == doctest::Approx(Silu::value(plain[i]) * of_up[i]).epsilon(16 * std::numeric_limits<S>::epsilon()));
  }
}

TEST_CASE("rows of A may lie apart and out of alignment") {
  const Index depth = 21, columns = 40, rows = 8, stride = 29;
  const auto storage = test::random_values<float>(rows * stride + 1, 14), w = test::random_values<float>(columns * depth, 15);
  std::vector<float> packed, c(rows * columns);
  const Rows<const float> apart(storage.data() + 1, rows, depth, stride);
  for (Index i = 0; i < rows; ++i) packed.insert(packed.end(), apart.row(i).begin(), apart.row(i).end());
  SerialExecutor executor;
  gemm_nt(apart, view_of(w, columns, depth), StoreTo<float>{Rows<float>(c.data(), rows, columns)}, executor);
  CHECK(c == product<float>(packed, rows, view_of(w, columns, depth), executor));
}
