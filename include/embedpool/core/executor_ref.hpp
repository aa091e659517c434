#pragma once
#include <memory>
#include <type_traits>

#include "embedpool/core/executor.hpp"

namespace embedpool {

/// Any executor, seen through one type: code that is too large to be compiled once for every executor takes this. Costs
/// one indirect call a job.
///
/// Requires  the executor outlives the reference
class ExecutorRef {
 public:
  template <Executor E>
  requires(!std::same_as<std::remove_const_t<E>, ExecutorRef>) ExecutorRef(E& executor)
  noexcept
      : executor_(std::addressof(executor)), workers_(executor.workers()), run_([](void* self, Index count, Call call) {
          static_cast<E*>(self)->parallel_for(count,
                                              [&](Index i, Index worker) { call.function(call.job, i, worker); });
        }) {}

  Index workers() const noexcept { return workers_; }
  template <class Job>
  void parallel_for(Index count, Job&& job) {
    using Plain = std::remove_reference_t<Job>;
    run_(executor_, count,
         Call{const_cast<void*>(static_cast<const void*>(std::addressof(job))),
              [](void* self, Index i, Index worker) { (*static_cast<Plain*>(self))(i, worker); }});
  }

 private:
  struct Call {
    void* job;
    void (*function)(void*, Index, Index);
  };
  void* executor_;
  Index workers_;
  void (*run_)(void*, Index, Call);
};
static_assert(Executor<ExecutorRef>);

}  // namespace embedpool
