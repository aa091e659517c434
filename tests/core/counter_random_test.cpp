#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <set>

#include "embedpool/core/counter_random.hpp"

using namespace embedpool;

TEST_CASE("mixing bits is the finaliser of SplitMix64") {
  // The first numbers of the generator that is seeded with 0 and with 1234567: state += golden ratio, then this mixer.
  CHECK(mixed_bits(0) == 0xe220a8397b1dcdafu);
  CHECK(mixed_bits(0x9e3779b97f4a7c15u) == 0x6e789e6aa1b965f4u);
  CHECK(mixed_bits(1234567) == 6457827717110365317u);
}

TEST_CASE("keys depend on every number and on their order") {
  std::set<std::uint64_t> keys;
  for (const std::uint64_t seed : {0u, 1u, 2u})
    for (int a = 0; a < 10; ++a)
      for (int b = 0; b < 10; ++b) keys.insert(random_key(seed, a, b));
  CHECK(keys.size() == 300);
  CHECK(random_key(7, 1, 2) == random_key(7, 1, 2));
}

TEST_CASE("words of a key are spread evenly, and neighbours differ in about half of their bits") {
  constexpr int draws = 1 << 16;
  double sum = 0, differing = 0;
  const std::uint64_t key = random_key(3, 14);
  for (std::uint32_t i = 0; i < draws; ++i) {
    sum += static_cast<double>(random_word(key, i)) / 4294967296.0;
    differing += std::popcount(random_word(key, i) ^ random_word(key, i + 1));
  }
  // Deviations of a mean of n draws: 1 / sqrt(12 n) and sqrt(8 / n); six of them.
  CHECK(std::abs(sum / draws - 0.5) < 6 * 0.2887 / 256);
  CHECK(std::abs(differing / draws - 16) < 6 * 2.83 / 256);
  CHECK(random_word(key, 5) != random_word(random_key(3, 15), 5));
}
