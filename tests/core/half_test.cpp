#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "embedpool/core/half.hpp"

using namespace embedpool;

namespace {

/// The value of binary16 bits by its definition.
double binary16(unsigned bits) {
  const double sign = (bits & 0x8000u) != 0 ? -1.0 : 1.0;
  const int exponent = static_cast<int>((bits >> 10) & 31u), mantissa = static_cast<int>(bits & 1023u);
  if (exponent == 31) return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

}  // namespace

TEST_CASE("every binary16 widens to its value and comes back") {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const f16 half{static_cast<std::uint16_t>(bits)};
    const double expected = binary16(bits);
    const float got = to_float(half);
    if (std::isnan(expected)) {
      REQUIRE(std::isnan(got));
      REQUIRE(std::isnan(to_float(to_f16(got))));
    } else {
      REQUIRE(static_cast<double>(got) == expected);
      REQUIRE(to_f16(got).bits == bits);
    }
  }
}

TEST_CASE("every bfloat16 widens and comes back") {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const float wide = to_float(bf16{static_cast<std::uint16_t>(bits)});
    if (std::isnan(wide))
      REQUIRE(std::isnan(to_float(to_bf16(wide))));
    else
      REQUIRE(to_bf16(wide).bits == bits);
  }
}

TEST_CASE("rounding goes to the nearest value and to even in the middle") {
  for (unsigned bits = 0; bits < 0x7bffu; ++bits) {  // all finite neighbours
    const double low = binary16(bits), high = binary16(bits + 1);
    const auto middle = static_cast<float>((low + high) / 2);  // exact: one more mantissa bit
    REQUIRE(to_f16(middle).bits == (bits % 2 == 0 ? bits : bits + 1));
    REQUIRE(to_f16(std::nextafter(middle, 0.0f)).bits == bits);
    REQUIRE(to_f16(std::nextafter(middle, 1e9f)).bits == bits + 1);
  }
  CHECK(to_f16(65519.0f).bits == 0x7bffu);
  CHECK(to_f16(65520.0f).bits == 0x7c00u);      // the middle to what would be the next value: infinity
  CHECK(to_bf16(1.00390625f).bits == 0x3f80u);  // 1 + 2^-8, the middle: even below
  CHECK(to_bf16(std::nextafter(1.00390625f, 2.0f)).bits == 0x3f81u);
  CHECK(to_bf16(1.01171875f).bits == 0x3f82u);  // 1 + 3 * 2^-8, the middle: even above
}
