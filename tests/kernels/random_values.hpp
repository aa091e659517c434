#pragma once
#include <random>
#include <vector>

#include "embedpool/core/rows.hpp"
#include "embedpool/kernels/weight.hpp"

namespace embedpool::test {

/// Normal values from a seed.
template <Real S>
std::vector<S> random_values(Index count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  std::vector<S> values(static_cast<std::size_t>(count));
  for (S& value : values) value = static_cast<S>(normal(generator));
  return values;
}

/// Bytes of `blocks` random blocks. Half-precision factors are made small and finite, as real files have them.
inline std::vector<std::byte> random_blocks(Format format, Index blocks, unsigned seed) {
  std::mt19937 generator(seed);
  const Index bytes = info(format).block_bytes;
  std::vector<std::byte> data(static_cast<std::size_t>(blocks * bytes));
  for (std::byte& byte : data) byte = static_cast<std::byte>(generator() & 0xffu);
  const auto set_half = [&](Index place) {  // 2^-6 .. 2^-4
    for (Index b = 0; b < blocks; ++b)
      data[static_cast<std::size_t>(b * bytes + place + 1)] = static_cast<std::byte>(0x24 + generator() % 8);
  };
  switch (format) {
    case Format::Q4_1:
    case Format::Q5_1: set_half(0), set_half(2); break;
    case Format::Q4_K:
    case Format::Q5_K: set_half(0), set_half(2); break;
    case Format::Q2_K: set_half(80), set_half(82); break;
    case Format::Q3_K: set_half(108); break;
    case Format::Q6_K: set_half(208); break;
    case Format::F16: set_half(0); break;
    case Format::BF16:
    case Format::F32:
    case Format::F64:
      for (Index b = 0; b < blocks; ++b)
        data[static_cast<std::size_t>((b + 1) * bytes - 1)] = static_cast<std::byte>(0x3f);
      break;
    default: set_half(0);
  }
  return data;
}

inline constexpr Format every_format[] = {
    Format::F64,  Format::F32,  Format::F16,  Format::BF16, Format::Q4_0, Format::Q4_1, Format::Q5_0,   Format::Q5_1,
    Format::Q8_0, Format::Q2_K, Format::Q3_K, Format::Q4_K, Format::Q5_K, Format::Q6_K, Format::IQ4_NL, Format::IQ4_XS};

}  // namespace embedpool::test
