#include "embedpool/io/scaling_of_divisors.hpp"

#include <doctest/doctest.h>

using namespace embedpool;

namespace {

/// What is found for a scaling of `values` values a head whose divisors were stored in float32, as GGUF files have them.
std::optional<RotaryScaling> found(double theta, Index values, const RotaryScaling& scaling) {
  std::vector<double> frequencies = rotary_frequencies(theta, values, scaling);
  const std::vector<double> plain = rotary_frequencies(theta, values);
  for (std::size_t i = 0; i < plain.size(); ++i) frequencies[i] = plain[i] / double(float(plain[i] / frequencies[i]));
  return io::scaling_of_divisors(theta, frequencies);
}

}  // namespace

TEST_CASE("the divisors of a GGUF file become the scaling that they were made of, or none") {
  CHECK(found(10000, 64, {})->kind == RotaryScalingKind::none);
  const auto linear = found(10000, 64, {RotaryScalingKind::linear, 2.5});
  CHECK(linear->kind == RotaryScalingKind::linear);
  CHECK(linear->factor == 2.5);
  for (const auto& [factor, positions] : {std::pair{8.0, 8192.0}, {32.0, 8192.0}, {8.0, 64.0}}) {  // Llama 3.1, 3.2, small
    const auto llama3 = found(500000, 64, {RotaryScalingKind::llama3, factor, positions});
    CHECK(llama3->kind == RotaryScalingKind::llama3);
    CHECK(llama3->factor == factor);
    CHECK(llama3->original_positions == positions);
  }
  std::vector<double> other = rotary_frequencies(10000, 64);
  other[3] /= 1.7;
  CHECK_FALSE(io::scaling_of_divisors(10000, other));
}

TEST_CASE("a llama3 scaling of any numbers, of heads of any width, is found as one that gives its frequencies") {
  Index scalings = 0;
  for (const double theta : {500.0, 10000.0, 500000.0})
    for (const Index values : {4, 8, 16, 128})
      for (const double factor : {1.5, 8.0, 31.7})
        for (const double positions : {50.0, 96.0, 5000.0})
          for (const auto& factors : {std::pair{1.0, 4.0}, {2.0, 8.0}, {0.5, 32.0}}) {
            const double low = factors.first, high = factors.second;
            CAPTURE(theta);
            CAPTURE(values);
            CAPTURE(factor);
            CAPTURE(positions);
            CAPTURE(low);
            const RotaryScaling scaling{RotaryScalingKind::llama3, factor, positions, low, high};
            const auto result = found(theta, values, scaling);
            REQUIRE(result);
            const auto expected = rotary_frequencies(theta, values, scaling), got = rotary_frequencies(theta, values, *result);
            for (std::size_t i = 0; i < expected.size(); ++i)
              REQUIRE(got[i] == doctest::Approx(expected[i]).epsilon(2e-6));  // two roundings to float32, and the line's
            CHECK(result->original_positions == std::round(result->original_positions));  // a config.json holds it whole
            ++scalings;
          }
  CHECK(scalings == 324);
}
