#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/error.hpp"
#include "embedpool/core/executor_ref.hpp"

namespace embedpool {

struct ConfidenceInterval {
  double low = 0, high = 0;
};

struct BootstrapOptions {
  double level = 0.95;
  Index resamples = 10000;
  std::uint64_t seed = 42;
};

/// The q-quantile of sorted values, 0 <= q <= 1, between neighbours linearly. Requires: at least one value
inline double sorted_quantile(std::span<const double> sorted, double q) noexcept {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Percentile bootstrap interval of a statistic of n items: items are drawn with replacement, `statistic(sample)` is taken
/// of their n numbers, and the interval holds the middle of its values over all resamples.
///
/// For two models draw once for both: a statistic that takes the difference of their scores on the sampled items is paired.
/// Item j of resample b is random_word(random_key(seed, b), j): results do not depend on the executor. `statistic` may run
/// at once on several threads.
/// Errors  ShapeError when n or the number of resamples is less than 1, or the level is not between 0 and 1
/// Source  Efron 1979
template <class Statistic>
ConfidenceInterval bootstrap_interval(Index n, const Statistic& statistic, ExecutorRef executor, const BootstrapOptions& options = {}) {
  require_in("bootstrap_interval", "items", n, 1, Index(1) << 31);
  require_in("bootstrap_interval", "resamples", options.resamples, 1, Index(1) << 31);
  if (!(options.level > 0 && options.level < 1))
    throw ShapeError("bootstrap_interval: the level must be between 0 and 1, got " + std::to_string(options.level));
  std::vector<double> values(static_cast<std::size_t>(options.resamples));
  std::vector<std::vector<Index>> samples(static_cast<std::size_t>(executor.workers()), std::vector<Index>(static_cast<std::size_t>(n)));
  executor.parallel_for(options.resamples, [&](Index b, Index worker) {
    std::vector<Index>& sample = samples[static_cast<std::size_t>(worker)];
    const std::uint64_t key = random_key(options.seed, b);
    for (Index j = 0; j < n; ++j)
      sample[static_cast<std::size_t>(j)] = static_cast<Index>(
          (static_cast<std::uint64_t>(random_word(key, static_cast<std::uint32_t>(j))) * static_cast<std::uint64_t>(n)) >> 32);
    values[static_cast<std::size_t>(b)] = statistic(std::span<const Index>(sample));
  });
  std::sort(values.begin(), values.end());
  const double outside = (1 - options.level) / 2;
  return {sorted_quantile(values, outside), sorted_quantile(values, 1 - outside)};
}

/// The interval of the mean of values: scores of items, or paired differences of them.
inline ConfidenceInterval bootstrap_mean_interval(std::span<const double> values, ExecutorRef executor, const BootstrapOptions& options = {}) {
  const auto mean = [values](std::span<const Index> sample) {
    double sum = 0;
    for (const Index i : sample) sum += values[static_cast<std::size_t>(i)];
    return sum / static_cast<double>(sample.size());
  };
  return bootstrap_interval(static_cast<Index>(values.size()), mean, executor, options);
}

}  // namespace embedpool
