#pragma once
#include <bit>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/learn/mersenne_twister.hpp"

namespace embedpool {

namespace detail {
/// Uniform in [0, count): Python's _randbelow, the first of words cut to the bits of `count` that is below it.
inline Index python_below(MersenneTwister& generator, Index count) noexcept {
  const int bits = static_cast<int>(std::bit_width(static_cast<std::uint32_t>(count)));
  for (;;)
    if (const auto value = static_cast<Index>(generator.word() >> (32 - bits)); value < count) return value;
}
}  // namespace detail

/// `count` different numbers of [0, population), as random.sample(range(population), count) of Python gives them with a
/// generator made by MersenneTwister::python.
///
/// Errors  ShapeError unless 0 <= count <= population < 2^32
inline std::vector<Index> python_sample(MersenneTwister& generator, Index population, Index count) {
  require_in("python_sample", "population", population, 0, (Index(1) << 32) - 1);
  require_in("python_sample", "count", count, 0, population);
  std::vector<Index> chosen;
  double set_size = 21;  // Python's estimate of when a set takes less memory than a list
  if (count > 5) set_size += std::pow(4.0, std::ceil(std::log(static_cast<double>(count) * 3) / std::log(4.0)));
  if (static_cast<double>(population) <= set_size) {
    std::vector<Index> pool(static_cast<std::size_t>(population));
    std::iota(pool.begin(), pool.end(), Index(0));
    for (Index i = 0; i < count; ++i) {
      const auto j = static_cast<std::size_t>(detail::python_below(generator, population - i));
      chosen.push_back(pool[j]);
      pool[j] = pool[static_cast<std::size_t>(population - i - 1)];
    }
    return chosen;
  }
  std::set<Index> taken;
  while (static_cast<Index>(chosen.size()) < count)
    if (const Index j = detail::python_below(generator, population); taken.insert(j).second) chosen.push_back(j);
  return chosen;
}

/// `count` numbers of [0, population), each drawn anew, as random.choices(range(population), k=count) of Python.
inline std::vector<Index> python_choices(MersenneTwister& generator, Index population, Index count) {
  std::vector<Index> chosen(static_cast<std::size_t>(count));
  for (Index& value : chosen) value = static_cast<Index>(generator.uniform() * static_cast<double>(population));
  return chosen;
}

}  // namespace embedpool
