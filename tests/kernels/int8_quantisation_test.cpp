#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/int8_weights.hpp"

using namespace embedpool;
using embedpool::test::as_rows;
using embedpool::test::int8_formats;
using embedpool::test::StoredWeights;

TEST_CASE("formats of 32 values with one scale are supported, others are not") {
  for (const Format format : {Format::Q4_0, Format::Q4_1, Format::Q5_0, Format::Q5_1, Format::Q8_0, Format::Q4_K,
                              Format::Q5_K, Format::IQ4_NL, Format::IQ4_XS})
    CHECK(int8_supports(format));
  for (const Format format :
       {Format::F64, Format::F32, Format::F16, Format::BF16, Format::Q2_K, Format::Q3_K, Format::Q6_K})
    CHECK_FALSE(int8_supports(format));
}

TEST_CASE("integers, scales and offsets of a block give the weights that the format defines") {
  for (const Format format : int8_formats()) {
    CAPTURE(std::string(info(format).name));
    const StoredWeights w(format, 3, 512, 1);
    std::vector<float> decoded(512);
    for (Index n = 0; n < 3; ++n) {
      decode_row(w.view, n, decoded.data());
      for (Index b = 0; b < 16; ++b) {
        const int8::IntegerBlock block = int8::read_integers(w.view, n, b);
        const int8::IntegerFormat kind = int8::integer_format(format);
        for (Index k = 0; k < 32; ++k) {
          REQUIRE(block.scale * static_cast<float>(block.q[k]) + block.offset ==
                  decoded[static_cast<std::size_t>(32 * b + k)]);
          REQUIRE((block.q[k] + kind.zero >= 0 && block.q[k] + kind.zero < 1 << kind.bits));
        }
        if (!kind.has_offset) REQUIRE(block.offset == 0.0f);
      }
    }
  }
}

TEST_CASE("activations are quantised to the nearest of 255 steps, registers and definition to the bit") {
  SerialExecutor executor;
  auto a = test::random_values<float>(5 * 96, 2);
  for (Index i = 0; i < 96; ++i) a[static_cast<std::size_t>(i)] *= 1e30f;     // large
  for (Index i = 96; i < 192; ++i) a[static_cast<std::size_t>(i)] *= 1e-30f;  // small
  std::fill(a.begin() + 200, a.begin() + 280, 0.0f);                          // a block of zeros
  a[300] = 1e-40f;                                                            // one value without an exponent
  a[330] = std::numeric_limits<float>::max();
  const QuantizedRows rows = quantize_rows(as_rows(a, 5), executor);
  for (Index i = 0; i < 5; ++i)
    for (Index b = 0; b < 3; ++b) {
      const float* values = a.data() + i * 96 + b * 32;
      std::int8_t q[32];
      const int8::ActivationBlock expected = scalar::quantize_block(values, q), got = rows.blocks()(i, b);
      CHECK((got.scale == expected.scale && got.scaled_sum == expected.scaled_sum && got.sum == expected.sum));
      std::int32_t sum = 0;
      for (Index k = 0; k < 32; ++k) {
        REQUIRE(rows.values()(i, b * 32 + k) == q[k]);
        REQUIRE(std::abs(int(q[k])) <= 127);
        // Half a step, and the rounding of the scale and the product.
        REQUIRE(std::abs(static_cast<double>(values[k]) - double(q[k]) * double(got.scale)) <=
                0.5 * double(got.scale) * 1.0001);
        sum += q[k];
      }
      CHECK(got.sum == sum);
    }
}

TEST_CASE("half steps round to even, and a block's largest value to 127") {
  std::vector<float> a(32, 0.0f);
  a[0] = 127.0f, a[1] = 0.5f, a[2] = 1.5f, a[3] = -2.5f, a[4] = -126.5f, a[5] = 3.49f;
  SerialExecutor executor;
  const QuantizedRows rows = quantize_rows(as_rows(a, 1), executor);
  const int expected[] = {127, 0, 2, -2, -126, 3};
  for (Index k = 0; k < 6; ++k) CHECK(int(rows.values()(0, k)) == expected[k]);
  CHECK(rows.blocks()(0, 0).scale == 1.0f);
  CHECK(rows.blocks()(0, 0).sum == 4);
  CHECK(rows.blocks()(0, 0).scaled_sum == 4.0f);
}
