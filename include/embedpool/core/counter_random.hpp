#pragma once
#include <cstdint>

namespace embedpool {

/// Random bits as a function of what they are for, and of nothing before them: the same draw can be made again in any
/// order, by any thread. Not for secrets.

/// A bijection of 64 bits in which every bit of the input moves every bit of the output.
///
/// Source  the finaliser of SplitMix64 (Steele, Lea, Flood 2014)
constexpr std::uint64_t mixed_bits(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// A key that names a draw by a chain of numbers: seed, step, layer ... The order of the numbers counts.
template <class... Numbers>
constexpr std::uint64_t random_key(std::uint64_t seed, Numbers... numbers) noexcept {
  std::uint64_t key = mixed_bits(seed);
  ((key = mixed_bits(key ^ static_cast<std::uint64_t>(numbers))), ...);
  return key;
}

/// Number `counter` of the sequence that `key` names: 32 bits by arithmetic of 32 bits alone, which a compiler turns
/// into registers of many counters.
///
/// Source  two rounds of the "lowbias32" mixer (C. Wellons, Hash Function Prospector)
constexpr std::uint32_t random_word(std::uint64_t key, std::uint32_t counter) noexcept {
  std::uint32_t x = counter * 0x9e3779b9u + static_cast<std::uint32_t>(key);
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x ^= static_cast<std::uint32_t>(key >> 32);
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

}  // namespace embedpool
