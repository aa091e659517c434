#pragma once
#include <exception>
#include <mutex>

#include "embedpool/core/executor.hpp"

namespace embedpool {

/// executor.parallel_for for jobs that may throw: all run, then the exception of the job with the smallest number is
/// thrown again, the same one for any number of threads.
template <Executor E, class Job>
void parallel_guarded(E& executor, Index count, const Job& job) {
  std::mutex mutex;
  std::exception_ptr error;
  Index culprit = count;
  executor.parallel_for(count, [&](Index i, Index worker) {
    try {
      job(i, worker);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (i < culprit) {
        culprit = i;
        error = std::current_exception();
      }
    }
  });
  if (error) std::rethrow_exception(error);
}

}  // namespace embedpool
