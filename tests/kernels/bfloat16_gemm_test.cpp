#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "embedpool/kernels/bfloat16/gemm.hpp"
#include "embedpool/testing/shuffled_executor.hpp"
#include "kernels/gemm_products.hpp"

using namespace embedpool;

namespace {

constexpr Index width = simd::Tile<Bfloat16Pair>::width, lanes = simd::lanes<float>;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

using test::view_of;

template <class E = SerialExecutor>
std::vector<float> product(const std::vector<float>& a, Index rows, const auto& w, Index columns, E executor = E()) {
  const Index depth = static_cast<Index>(a.size()) / rows;
  std::vector<float> c(static_cast<std::size_t>(rows * columns), not_a_number);
  bfloat16_gemm_nt(Rows<const float>(a.data(), rows, depth), w, StoreTo<float>{Rows<float>(c.data(), rows, columns)},
                   executor);
  return c;
}
std::vector<float> product(const std::vector<float>& a, Index rows, const WeightView& w) {
  return product(a, rows, w, w.rows);
}

std::vector<float> definition(const std::vector<float>& a, Index rows, const WeightView& w) {
  std::vector<float> c(static_cast<std::size_t>(rows * w.rows));
  scalar::bfloat16_gemm_nt(Rows<const float>(a.data(), rows, w.cols), w, Rows<float>(c.data(), rows, w.rows));
  return c;
}

float rounded(float x) { return to_float(scalar::round_to_bf16(x)); }

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("rounding to bfloat16 goes to the nearest, ties to even, and keeps NaN and infinity") {
  CHECK(rounded(1.0f) == 1.0f);
  CHECK(rounded(1.0f + 0x1p-8f) == 1.0f);                // half way between 1 and 1 + 2^-7: to even
  CHECK(rounded(1.0f + 3 * 0x1p-8f) == 1.0f + 0x1p-6f);  // half way above: to even again
  CHECK(rounded(1.0f + 0x1.02p-8f) == 1.0f + 0x1p-7f);   // just above half way
  CHECK(rounded(-3.0e38f) == doctest::Approx(-3.0e38f).epsilon(0x1p-8));
  CHECK(rounded(std::numeric_limits<float>::max()) == infinity);  // beyond the largest bfloat16
  CHECK(rounded(-infinity) == -infinity);
  CHECK(std::isnan(rounded(not_a_number)));
  CHECK(rounded(0x1p-126f) == 0x1p-126f);
  CHECK(rounded(0x1p-127f) == 0.0f);  // subnormal
}

TEST_CASE("rows are rounded in registers as one by one, whatever their length") {
  for (Index count = 0; count <= 70; ++count) {
    auto x = test::random_values<float>(count, 1);
    const float special[] = {not_a_number, -infinity, 3.4e38f, 1e-40f, -0.0f, 1.0f + 0x1p-8f};
    for (Index i = 0; i < count; i += 11) x[static_cast<std::size_t>(i)] = special[i / 11 % 6];
    const Index pairs = (count + 1) / 2;
    std::vector<Bfloat16Pair> out(static_cast<std::size_t>(pairs + 1), Bfloat16Pair{bf16{7}, bf16{7}});
    simd::round_row(x.data(), count, out.data());
    for (Index k = 0; k < 2 * pairs; ++k) {
      const Bfloat16Pair pair = out[static_cast<std::size_t>(k / 2)];
      const bf16 expected = k < count ? scalar::round_to_bf16(x[static_cast<std::size_t>(k)]) : bf16{0};
      REQUIRE((k % 2 == 0 ? pair.even : pair.odd).bits == expected.bits);
    }
    CHECK(out.back().even.bits == 7);  // nothing is written behind the last pair
  }
}

// Products of two bfloat16 are exact in float, so that the chain of sums rounds alike with any instructions: no
// tolerance. No value here is near the subnormal ones.
TEST_CASE("the bfloat16 product is its definition to the bit at every remainder") {
  for (const Index rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13})
    for (Index columns = 1; columns <= 3 * lanes + 1; ++columns)
      for (const Index depth : {1, 2, 5, 33}) {
        const auto a = test::random_values<float>(rows * depth, 1), w = test::random_values<float>(columns * depth, 2);
        REQUIRE(product(a, rows, view_of(w, columns, depth)) == definition(a, rows, view_of(w, columns, depth)));
      }
  for (const Index columns : {width - 1, width, width + 1, 2 * width, 3 * width + lanes + 1})
    for (const Index depth : {63, 64, 65, 127}) {
      const auto a = test::random_values<float>(10 * depth, 3), w = test::random_values<float>(columns * depth, 4);
      REQUIRE(product(a, 10, view_of(w, columns, depth)) == definition(a, 10, view_of(w, columns, depth)));
    }
  const Index deep = 2 * 4096 + 35;  // the sums are split twice
  const auto a = test::random_values<float>(3 * deep, 5), w = test::random_values<float>((width + 1) * deep, 6);
  CHECK(product(a, 3, view_of(w, width + 1, deep)) == definition(a, 3, view_of(w, width + 1, deep)));
}

TEST_CASE("bfloat16 products take weights of every storage format, wherever they lie") {
  constexpr Index depth = 512, rows = 9;
  const Index columns = width + 6;
  const auto a = test::random_values<float>(rows * depth, 7);
  for (const Format format : test::every_format) {
    CAPTURE(std::string(info(format).name));
    const auto blocks = test::random_blocks(format, columns * depth / info(format).block_values, 8);
    std::vector<std::byte> moved(blocks.size() + 1);
    std::memcpy(moved.data() + 1, blocks.data(), blocks.size());
    const WeightView view{blocks.data(), format, columns, depth}, unaligned{moved.data() + 1, format, columns, depth};
    std::vector<float> decoded(static_cast<std::size_t>(columns * depth));
    for (Index n = 0; n < columns; ++n) decode_row(view, n, decoded.data() + n * depth);
    const auto expected = definition(a, rows, view_of(decoded, columns, depth));
    CHECK(product(a, rows, view) == expected);
    CHECK(product(a, rows, unaligned) == expected);
  }
  for (const Index odd : {1, 31, 67}) {  // rows of bfloat16 that end inside a pair
    const auto blocks = test::random_blocks(Format::BF16, columns * odd, 9);
    const WeightView view{blocks.data(), Format::BF16, columns, odd};
    const auto x = test::random_values<float>(rows * odd, 10);
    CHECK(product(x, rows, view) == definition(x, rows, view));
  }
}

TEST_CASE("panels of pairs hold zeros behind the last row of W and behind its last value") {
  for (const Format format : {Format::F32, Format::BF16})
    for (const Index depth : {64, 67}) {  // 67: two runs of 64, the second one short and odd
      CAPTURE(depth);
      const Index rows = width - 3, pairs = (depth + 1) / 2;
      const auto blocks = test::random_blocks(format, rows * depth, 26);
      const WeightView view{blocks.data(), format, rows, depth};
      std::vector<float> row(static_cast<std::size_t>(depth));
      AlignedBuffer<Bfloat16Pair> panel(pairs * width);
      simd::pack_rows(view, 0, width, 0, pairs, panel.data(), width);
      for (Index n = 0; n < width; ++n) {
        std::fill(row.begin(), row.end(), 0.0f);
        if (n < rows) decode_row(view, n, row.data());
        for (Index k = 0; k < 2 * pairs; ++k) {
          const Bfloat16Pair pair = panel.data()[k / 2 * width + n];
          const bf16 expected = k < depth ? scalar::round_to_bf16(row[static_cast<std::size_t>(k)]) : bf16{0};
          REQUIRE((k % 2 == 0 ? pair.even : pair.odd).bits == expected.bits);
        }
      }
    }
}

TEST_CASE("a bfloat16 product errs by no more than roundings to bfloat16 explain") {
  constexpr Index rows = 24, columns = 80;
  for (const Index depth : {16, 576, 4096}) {
    CAPTURE(depth);
    const auto a = test::random_values<float>(rows * depth, 11), w = test::random_values<float>(columns * depth, 12);
    const auto got = product(a, rows, view_of(w, columns, depth));
    double worst = 0, worst_plain = 0;
    for (Index i = 0; i < rows; ++i)
      for (Index n = 0; n < columns; ++n) {
        double exact = 0, size = 0;
        float plain = 0;
        for (Index k = 0; k < depth; ++k) {
          const float x = a[static_cast<std::size_t>(i * depth + k)], y = w[static_cast<std::size_t>(n * depth + k)];
          exact += static_cast<double>(x) * y;
          size += std::abs(static_cast<double>(x) * y);
          plain += rounded(x) * rounded(y);  // the plain version, summed in rising k
        }
        const double error = std::abs(static_cast<double>(got[static_cast<std::size_t>(i * columns + n)]) - exact);
        // Two operands rounded by 2^-9 of themselves, and a chain of `depth` sums in float.
        REQUIRE(error <= (0x1p-8 + 0x1p-18 + static_cast<double>(depth) * 0x1p-24) * size);
        worst = std::max(worst, error);
        worst_plain = std::max(worst_plain, std::abs(static_cast<double>(plain) - exact));
      }
    CHECK(worst <= 2 * worst_plain);
    CHECK(worst > 0);
  }
}

TEST_CASE("a row of a bfloat16 product has the same bits alone, in any batch and on any executor") {
  struct Size {
    Index rows, columns, depth;
  };
  for (const Size size : {Size{101, 3 * width + 5, 4096 + 37},  // the sums are split once
                          Size{101, 40 * width + 3, 40},        // jobs of several panels
                          Size{47, 6 * width + 1, 40}}) {       // few rows, split for the last panels
    const auto a = test::random_values<float>(size.rows * size.depth, 13),
               w = test::random_values<float>(size.columns * size.depth, 14);
    const WeightView view = view_of(w, size.columns, size.depth);
    const auto together = product(a, size.rows, view);
    for (const Index workers : {2, 3, 5}) {
      CHECK(same_bits(product(a, size.rows, view, size.columns, testing::ShuffledExecutor(workers, 15)), together));
#ifdef _OPENMP
      CHECK(same_bits(product(a, size.rows, view, size.columns, OpenMPExecutor(workers)), together));
#endif
    }
    for (const Index i : {Index(0), Index(1), size.rows / 2, size.rows - 1}) {
      const std::vector<float> row(a.begin() + i * size.depth, a.begin() + (i + 1) * size.depth);
      const auto alone = product(row, 1, view);
      CHECK(std::equal(alone.begin(), alone.end(), together.begin() + i * size.columns));
    }
  }
}

TEST_CASE("NaN and infinity stay in their row of A or of W") {
  const Index rows = 14, columns = width + lanes + 1, depth = 35;
  const auto a = test::random_values<float>(rows * depth, 16), w = test::random_values<float>(columns * depth, 17);
  const auto clean = product(a, rows, view_of(w, columns, depth));
  for (const float poison : {not_a_number, infinity, -infinity}) {
    auto bad_a = a, bad_w = w;
    bad_a[static_cast<std::size_t>(5 * depth + 34)] = poison;  // the value whose pair is filled up
    bad_w[static_cast<std::size_t>(width * depth + 3)] = poison;
    const auto of_a = product(bad_a, rows, view_of(w, columns, depth)),
               of_w = product(a, rows, view_of(bad_w, columns, depth));
    for (Index i = 0; i < rows; ++i)
      for (Index n = 0; n < columns; ++n) {
        const auto at = static_cast<std::size_t>(i * columns + n);
        REQUIRE((i == 5 ? !std::isfinite(of_a[at]) : of_a[at] == clean[at]));
        REQUIRE((n == width ? !std::isfinite(of_w[at]) : of_w[at] == clean[at]));
      }
  }
}

TEST_CASE("epilogues do with bfloat16 sums what they do with sums in float") {
  const Index columns = width + lanes + 3, depth = 19, rows = 7;
  const auto a = test::random_values<float>(rows * depth, 18), w = test::random_values<float>(columns * depth, 19),
             up = test::random_values<float>(columns * depth, 20), bias = test::random_values<float>(columns, 21),
             start = test::random_values<float>(rows * columns, 22);
  SerialExecutor executor;
  const Rows<const float> rows_a(a.data(), rows, depth);
  const auto plain = product(a, rows, view_of(w, columns, depth)),
             of_up = product(a, rows, view_of(up, columns, depth));
  std::vector<float> with_bias(plain.size()), added = start, gated(plain.size());
  const auto rows_of = [&](std::vector<float>& values) { return Rows<float>(values.data(), rows, columns); };
  bfloat16_gemm_nt(rows_a, view_of(w, columns, depth), StoreBias<float>{rows_of(with_bias), bias.data()}, executor);
  bfloat16_gemm_nt(rows_a, view_of(w, columns, depth), AddTo<float>{rows_of(added)}, executor);
  bfloat16_gemm_nt_gated<Silu>(rows_a, view_of(w, columns, depth), view_of(up, columns, depth), rows_of(gated),
                               executor);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    REQUIRE(with_bias[i] == plain[i] + bias[i % bias.size()]);
    REQUIRE(added[i] == start[i] + plain[i]);
    // The exponential of a register and of a single value may differ in the last places.
    REQUIRE(gated[i] == doctest::Approx(Silu::value(plain[i]) * of_up[i]).epsilon(16 * 0x1p-23));
  }
}

TEST_CASE("rows rounded once and weights packed once give the bits of rounding and decoding in every product") {
  const Index columns = 2 * width + 7, depth = 4096 + 256, rows = 11, stride = depth + 3;
  DefaultExecutor executor;
  const auto storage = test::random_values<float>(rows * stride + 1, 23);
  const Rows<const float> apart(storage.data() + 1, rows, depth, stride);
  std::vector<float> a;
  for (Index i = 0; i < rows; ++i) a.insert(a.end(), apart.row(i).begin(), apart.row(i).end());
  std::vector<Bfloat16Pair> pairs(static_cast<std::size_t>(rows * depth / 2));
  round_rows(apart, Rows<Bfloat16Pair>(pairs.data(), rows, depth / 2), executor);
  const Rows<const Bfloat16Pair> shared(pairs.data(), rows, depth / 2);
  for (const Format format : {Format::F32, Format::BF16, Format::Q4_1, Format::Q6_K}) {
    CAPTURE(std::string(info(format).name));
    const auto blocks = test::random_blocks(format, columns * depth / info(format).block_values, 24),
               others = test::random_blocks(format, columns * depth / info(format).block_values, 25);
    const WeightView view{blocks.data(), format, columns, depth}, up{others.data(), format, columns, depth};
    const PackedWeight<Bfloat16Pair> packed(view, executor);
    const PackedGatedWeight<Bfloat16Pair> packed_gated(view, up, executor);
    std::vector<float> c(static_cast<std::size_t>(rows * columns), not_a_number), gated = c, gated_packed = c;
    const auto rows_of = [&](std::vector<float>& values) { return Rows<float>(values.data(), rows, columns); };
    bfloat16_gemm_nt(shared, view, StoreTo<float>{rows_of(c)}, executor);
    CHECK(same_bits(c, product(a, rows, view)));
    CHECK(same_bits(c, product(a, rows, packed, columns)));
    bfloat16_gemm_nt_gated<GeluTanh>(shared, packed_gated, rows_of(gated_packed), executor);
    bfloat16_gemm_nt_gated<GeluTanh>(apart, view, up, rows_of(gated), executor);
    CHECK(same_bits(gated, gated_packed));
  }
}
