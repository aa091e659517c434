#pragma once
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// The generator MT19937, seeded and read as NumPy's legacy RandomState and Python's random do, so that the samples of
/// published protocols come out. For everything else core/counter_random.hpp is simpler.
///
/// Source  Matsumoto and Nishimura 1998, mt19937ar.c
class MersenneTwister {
 public:
  /// As numpy.random.RandomState(seed), and numpy.random.seed(seed).
  explicit MersenneTwister(std::uint32_t seed) noexcept {
    state_[0] = seed;
    for (std::uint32_t i = 1; i < size; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  }

  /// As Python's random.Random(seed) for a seed below 2^32: seeded by the array of its one word.
  static MersenneTwister python(std::uint32_t seed) noexcept {
    MersenneTwister generator(19650218u);
    auto& x = generator.state_;
    std::uint32_t i = 1;
    const auto step = [&x, &i] {
      if (++i < size) return;
      x[0] = x[size - 1];
      i = 1;
    };
    for (std::uint32_t k = 0; k < size; ++k, step()) x[i] = (x[i] ^ ((x[i - 1] ^ (x[i - 1] >> 30)) * 1664525u)) + seed;
    for (std::uint32_t k = 1; k < size; ++k, step()) x[i] = (x[i] ^ ((x[i - 1] ^ (x[i - 1] >> 30)) * 1566083941u)) - i;
    x[0] = 0x80000000u;
    return generator;
  }

  /// 32 random bits.
  std::uint32_t word() noexcept {
    if (at_ == size) twist();
    std::uint32_t x = state_[at_++];
    x ^= x >> 11;
    x ^= (x << 7) & 0x9d2c5680u;
    x ^= (x << 15) & 0xefc60000u;
    return x ^ (x >> 18);
  }

  /// Uniform in [0, 1), of 53 bits: random_sample() of NumPy, random() of Python.
  double uniform() noexcept {
    const std::uint32_t high = word() >> 5, low = word() >> 6;
    return (high * 67108864.0 + low) / 9007199254740992.0;
  }

  /// Uniform in [0, most], by masks and rejection: NumPy's legacy bounded integers. Requires: most < 2^32
  Index bounded(Index most) noexcept {
    std::uint32_t mask = static_cast<std::uint32_t>(most);
    for (int shift = 1; shift <= 16; shift *= 2) mask |= mask >> shift;
    if (mask == 0) return 0;
    for (;;)
      if (const std::uint32_t value = word() & mask; value <= static_cast<std::uint32_t>(most)) return static_cast<Index>(value);
  }

  /// Puts the values in random order, as RandomState.shuffle does.
  template <class T>
  void shuffle(std::vector<T>& values) noexcept {
    for (std::size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[static_cast<std::size_t>(bounded(static_cast<Index>(i - 1)))]);
  }

 private:
  static constexpr std::uint32_t size = 624, half = 397;

  void twist() noexcept {
    for (std::uint32_t i = 0; i < size; ++i) {
      const std::uint32_t bits = (state_[i] & 0x80000000u) | (state_[(i + 1) % size] & 0x7fffffffu);
      state_[i] = state_[(i + half) % size] ^ (bits >> 1) ^ ((bits & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
    at_ = 0;
  }

  std::array<std::uint32_t, size> state_{};
  std::uint32_t at_ = size;
};

}  // namespace embedpool
