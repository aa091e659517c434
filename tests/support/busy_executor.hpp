#pragma once
#include <functional>

#include "embedpool/core/executor.hpp"

namespace embedpool::test {

/// An Executor whose calling thread does other work between two jobs of every call, as threads of a pool that steals
/// work do while they wait. The other work may use a BusyExecutor that has none.
class BusyExecutor {
 public:
  BusyExecutor() = default;
  explicit BusyExecutor(std::function<void()> work) : work_(std::move(work)) {}
  Index workers() const noexcept { return 1; }
  template <class Job>
  void parallel_for(Index count, Job&& job) {
    for (Index i = 0; i < count; ++i) {
      if (i == 1 && work_) work_();
      job(i, Index(0));
    }
  }

 private:
  std::function<void()> work_;
};

static_assert(Executor<BusyExecutor>);

}  // namespace embedpool::test
