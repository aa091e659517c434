#include "embedpool/kernels/dequantize.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace embedpool;

TEST_CASE_TEMPLATE("every half is decoded to its own value, in registers and in the rest of a row", S, float, double) {
  constexpr Index count = 65536;
  std::vector<f16> halves;
  for (Index bits = 0; bits < count; ++bits) halves.push_back(f16{static_cast<std::uint16_t>(bits)});
  for (const Index length : {count, count - 3}) {  // whole registers and 5 more
    std::vector<S> values(static_cast<std::size_t>(length));
    decode_values(Format::F16, reinterpret_cast<const std::byte*>(halves.data()), length, values.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float expected = to_float(halves[i]);
      if (std::isnan(expected)) {
        REQUIRE(std::isnan(values[i]));
      } else {
        REQUIRE(values[i] == static_cast<S>(expected));
        REQUIRE(std::signbit(values[i]) == std::signbit(expected));
      }
    }
  }
}
