#pragma once
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "embedpool/core/executor.hpp"

namespace embedpool::testing {

/// An Executor that runs jobs one at a time in a random order, as random workers: whatever depends on who ran what
/// shows, repeatably.
class ShuffledExecutor {
 public:
  explicit ShuffledExecutor(Index workers, unsigned seed = 1) : workers_(workers), generator_(seed) {}
  Index workers() const noexcept { return workers_; }
  template <class Job>
  void parallel_for(Index count, Job&& job) {
    std::vector<Index> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), Index(0));
    std::shuffle(order.begin(), order.end(), generator_);
    std::uniform_int_distribution<Index> worker(0, workers_ - 1);
    for (const Index i : order) job(i, worker(generator_));
  }

 private:
  Index workers_;
  std::mt19937 generator_;
};

static_assert(Executor<ShuffledExecutor>);

}  // namespace embedpool::testing
