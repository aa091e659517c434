#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "embedpool/testing/shuffled_executor.hpp"
#include "kernels/gemm_products.hpp"

using namespace embedpool;

TEST_CASE_TEMPLATE("the register-tile product agrees with the definition at every remainder", S, float, double) {
  constexpr Index lanes = simd::lanes<S>, width = simd::Tile<S>::width;
  SerialExecutor executor;
  for (const Index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13})
    for (Index columns = 1; columns <= 3 * lanes + 1; ++columns)
      for (const Index depth : {1, 5, 33}) {
        const auto a = test::random_values<S>(rows * depth, 1), w = test::random_values<S>(columns * depth, 2);
        const WeightView view = test::view_of(w, columns, depth);
        std::vector<S> expected(static_cast<std::size_t>(rows * columns));
        scalar::gemm_nt(Rows<const S>(a.data(), rows, depth), view, Rows<S>(expected.data(), rows, columns));
        const auto got = test::product<S>(a, rows, view, executor);
        for (std::size_t i = 0; i < got.size(); ++i)
          REQUIRE(std::abs(static_cast<double>(got[i] - expected[i])) <= test::chain_tolerance<S>(depth));
      }
  for (const Index columns : {width - 1, width, width + 1, 2 * width, 3 * width + lanes + 1}) {
    const auto a = test::random_values<S>(10 * 40, 3), w = test::random_values<S>(columns * 40, 4);
    std::vector<S> expected(static_cast<std::size_t>(10 * columns));
    scalar::gemm_nt(Rows<const S>(a.data(), 10, 40), test::view_of(w, columns, 40),
                    Rows<S>(expected.data(), 10, columns));
    const auto got = test::product<S>(a, 10, test::view_of(w, columns, 40), executor);
    for (std::size_t i = 0; i < got.size(); ++i)
      REQUIRE(std::abs(static_cast<double>(got[i] - expected[i])) <= test::chain_tolerance<S>(40));
  }
}

TEST_CASE_TEMPLATE("a row has the same bits alone, in any batch and with any number of threads", S, float, double) {
  struct Size {
    Index rows, columns, depth;
  };
  constexpr Index width = simd::Tile<S>::width;
  for (const auto& [rows, columns, depth] : {Size{101, 3 * width + 5, 2048 + 37},  // the sums are split once
                                             Size{101, 40 * width + 3, 40},        // jobs of several panels
                                             Size{47, 6 * width + 1, 40}}) {  // few rows, split for the last panels
    const auto a = test::random_values<S>(rows * depth, 5), w = test::random_values<S>(columns * depth, 6);
    const WeightView view = test::view_of(w, columns, depth);
    SerialExecutor serial;
    const auto together = test::product<S>(a, rows, view, serial);
    for (const Index threads : {1, 2, 3, 5}) {  // more than there may be cores: jobs are handed out all the same
      CAPTURE(threads);
#ifdef _OPENMP
      OpenMPExecutor executor(threads);
#else
      SerialExecutor executor;
#endif
      CHECK(test::product<S>(a, rows, view, executor) == together);
    }
    for (const Index i : {Index(0), Index(1), rows / 2, rows - 1}) {
      const std::vector<S> row(a.begin() + i * depth, a.begin() + (i + 1) * depth);
      const auto alone = test::product<S>(row, 1, view, serial);
      CHECK(std::equal(alone.begin(), alone.end(), together.begin() + i * columns));
    }
  }
}

TEST_CASE_TEMPLATE("weights are multiplied from every storage format", S, float, double) {
  constexpr Index columns = simd::Tile<S>::width + 6, depth = 512, rows = 9;
  SerialExecutor executor;
  const auto a = test::random_values<S>(rows * depth, 7);
  for (const Format format : test::every_format) {
    CAPTURE(std::string(info(format).name));
    const auto blocks = test::random_blocks(format, columns * depth / info(format).block_values, 8);
    const WeightView view{blocks.data(), format, columns, depth};
    std::vector<S> decoded(columns * depth);
    for (Index n = 0; n < columns; ++n) decode_row(view, n, decoded.data() + n * depth);
    // The same chain of operations on the decoded weights: the same bits.
    CHECK(test::product<S>(a, rows, view, executor) ==
          test::product<S>(a, rows, test::view_of(decoded, columns, depth), executor));
  }
}

TEST_CASE_TEMPLATE("weights packed once give the bits of weights decoded in every product", S, float, double) {
  const Index columns = simd::Tile<S>::width * 2 + 7, depth = 2048 + 256, rows = 11;  // K is split once when decoded
  DefaultExecutor executor;
  const auto a = test::random_values<S>(rows * depth, 16);
  for (const Format format : {Format::F32, Format::Q4_1, Format::Q6_K}) {
    const auto blocks = test::random_blocks(format, columns * depth / info(format).block_values, 17),
               others = test::random_blocks(format, columns * depth / info(format).block_values, 18);
    const WeightView view{blocks.data(), format, columns, depth}, up{others.data(), format, columns, depth};
    const PackedWeight<S> packed(view, executor);
    const PackedGatedWeight<S> gated(view, up, executor);
    CHECK((packed.rows() == columns && packed.cols() == depth));
    std::vector<S> c(static_cast<std::size_t>(rows * columns)), d = c, e = c;
    const auto rows_of = [&](std::vector<S>& values) { return Rows<S>(values.data(), rows, columns); };
    gemm_nt(Rows<const S>(a.data(), rows, depth), packed, StoreTo<S>{rows_of(c)}, executor);
    CHECK(c == test::product<S>(a, rows, view, executor));
    gemm_nt_gated<Silu>(Rows<const S>(a.data(), rows, depth), gated, rows_of(d), executor);
    gemm_nt_gated<Silu>(Rows<const S>(a.data(), rows, depth), view, up, rows_of(e), executor);
    CHECK(d == e);
  }
}

TEST_CASE_TEMPLATE("the product with W itself agrees with its definition at every remainder", S, float, double) {
  SerialExecutor executor;
  constexpr Index width = simd::Tile<S>::width;
  for (const Index rows : {1, 5, 8, 50})
    for (const Index columns :
         {Index(1), Index(3), simd::lanes<S>, width - 1, width, width + 1, Index(63), Index(64), Index(65), Index(130)})
      for (const Index depth : {1, 6, 33}) {
        const auto a = test::random_values<S>(rows * depth, 19), w = test::random_values<S>(columns * depth, 20);
        const WeightView view = test::view_of(w, depth, columns);
        std::vector<S> expected(static_cast<std::size_t>(rows * columns)), got = expected;
        scalar::gemm_nn(Rows<const S>(a.data(), rows, depth), view, Rows<S>(expected.data(), rows, columns));
        gemm_nn(Rows<const S>(a.data(), rows, depth), view, StoreTo<S>{Rows<S>(got.data(), rows, columns)}, executor);
        for (std::size_t i = 0; i < got.size(); ++i)
          REQUIRE(std::abs(static_cast<double>(got[i] - expected[i])) <= test::chain_tolerance<S>(depth));
      }
}

TEST_CASE_TEMPLATE("low-rank terms are added to a product, in either direction and in order", S, float, double) {
  testing::ShuffledExecutor shuffled(5, 3);
  SerialExecutor serial;
  for (const bool transposed : {true, false}) {
    const auto times = [&](Rows<const S> a, Rows<const S> w) -> Matrix<S> {
      if (transposed) return as_eigen(a) * as_eigen(w).transpose();
      return as_eigen(a) * as_eigen(w);
    };
    const auto multiply = [&](Rows<const S> a, const WeightView& w, std::span<const LowRankTerm<S>> terms, Rows<S> c,
                              auto& executor) {
      if (transposed)
        gemm_nt(a, w, terms, StoreTo<S>{c}, executor);
      else
        gemm_nn(a, w, terms, StoreTo<S>{c}, executor);
    };
    // Rows of one tile and of several; depths in one run and in two; columns of less than a register and beyond a
    // panel.
    for (const Index rows : {1, 7, 60})
      for (const Index depth : {3, 2100})
        for (const Index columns : {1, 16, 67, 200}) {
          const auto shape = [&](const std::vector<S>& values, Index sums) {
            return transposed ? Rows<const S>(values.data(), columns, sums)
                              : Rows<const S>(values.data(), sums, columns);
          };
          const auto values = test::random_values<S>(rows * depth, 1),
                     weights = test::random_values<S>(columns * depth, 2);
          const Rows<const S> a(values.data(), rows, depth), w = shape(weights, depth);
          Matrix<S> expected = times(a, w);
          std::vector<std::vector<S>> memory;
          std::vector<LowRankTerm<S>> terms;
          for (const Index rank : {1, 16, 37}) {
            const Index stride = rank + 3;  // rows of the term lie apart
            memory.push_back(test::random_values<S>(rows * stride, 3));
            const Rows<const S> left(memory.back().data(), rows, rank, stride);
            memory.push_back(test::random_values<S>(columns * rank, 4));
            const Rows<const S> right = shape(memory.back(), rank);
            terms.push_back({left, test::view_of(memory.back(), right.rows, right.cols)});
            expected += times(left, right);
          }
          const WeightView view = test::view_of(weights, w.rows, w.cols);
          Matrix<S> c(rows, columns), alone(1, columns);
          multiply(a, view, terms, rows_of(c), shuffled);
          // The terms are 54 more products in the chain; products of two normal values are up to 4 times size 1.
          CHECK((c - expected).cwiseAbs().maxCoeff() <= 4 * test::chain_tolerance<S>(depth + 54));

          for (LowRankTerm<S>& term : terms) term.a = term.a.middle_rows(rows - 1, 1);
          multiply(a.middle_rows(rows - 1, 1), view, terms, rows_of(alone), serial);
          CHECK(alone.row(0) == c.row(rows - 1));  // a row has the same bits in any batch
        }
  }
}

TEST_CASE_TEMPLATE("the product with W itself reads every format, and has the same bits for any batch and threads", S,
                   float, double) {
  constexpr Index columns = 768, depth = 600, rows = 53;  // the sums are split for formats of 256 values
  SerialExecutor serial;
  const auto a = test::random_values<S>(rows * depth, 21);
  const auto multiply = [&](const WeightView& w, const std::vector<S>& x, Index count, auto&& executor) {
    std::vector<S> c(static_cast<std::size_t>(count * columns));
    gemm_nn(Rows<const S>(x.data(), count, depth), w, StoreTo<S>{Rows<S>(c.data(), count, columns)}, executor);
    return c;
  };
  for (const Format format : test::every_format) {
    CAPTURE(std::string(info(format).name));
    const auto blocks = test::random_blocks(format, columns * depth / info(format).block_values, 22);
    const WeightView view{blocks.data(), format, depth, columns};
    std::vector<S> decoded(columns * depth);
    for (Index n = 0; n < depth; ++n) decode_row(view, n, decoded.data() + n * columns);
    const auto together = multiply(view, a, rows, serial);
    CHECK(together == multiply(test::view_of(decoded, depth, columns), a, rows, serial));
    CHECK(together == multiply(view, a, rows, DefaultExecutor{}));
    const std::vector<S> row(a.begin() + 17 * depth, a.begin() + 18 * depth);
    const auto alone = multiply(view, row, 1, serial);
    CHECK(std::equal(alone.begin(), alone.end(), together.begin() + 17 * columns));
  }
}

TEST_CASE("rows of A may lie apart and out of alignment") {
  const Index depth = 21, columns = 40, rows = 8, stride = 29;
  const auto storage = test::random_values<float>(rows * stride + 1, 14),
             w = test::random_values<float>(columns * depth, 15);
  std::vector<float> packed, c(rows * columns);
  const Rows<const float> apart(storage.data() + 1, rows, depth, stride);
  for (Index i = 0; i < rows; ++i) packed.insert(packed.end(), apart.row(i).begin(), apart.row(i).end());
  SerialExecutor executor;
  gemm_nt(apart, test::view_of(w, columns, depth), StoreTo<float>{Rows<float>(c.data(), rows, columns)}, executor);
  CHECK(c == test::product<float>(packed, rows, test::view_of(w, columns, depth), executor));
}
