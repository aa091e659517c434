#pragma once
#include <concepts>
#include <utility>

#include "embedpool/core/types.hpp"

#ifdef _OPENMP
#include <omp.h>
#endif

namespace embedpool {

/// Runs `job(i, worker)` for every i in [0, count), possibly at once, and returns when all are done.
///
/// Beyond the syntax a model promises that
///   - 0 <= worker < workers(), and no two jobs that run at once have the same worker (so scratch is per worker);
///   - jobs are handed out in small pieces, so that a core that is taken away costs its share and not a stall;
///   - jobs never throw (kernels are noexcept) and never call the executor again.
/// While it waits, the calling thread may do other work, another forward pass too, as threads of pools that steal work do.
/// Results must not depend on who ran what: a caller makes each job write its own outputs.
template <class E>
concept Executor = requires(E executor, Index count, void (*job)(Index, Index)) {
  { executor.workers() } -> std::convertible_to<Index>;
  { executor.parallel_for(count, job) } -> std::same_as<void>;
};

/// Everything on the calling thread.
class SerialExecutor {
 public:
  Index workers() const noexcept { return 1; }
  template <class Job>
  void parallel_for(Index count, Job&& job) {
    for (Index i = 0; i < count; ++i) job(i, Index(0));
  }
};

#ifdef _OPENMP
/// OpenMP threads, jobs handed out one at a time.
class OpenMPExecutor {
 public:
  /// `threads` 0: as many as OpenMP would use (OMP_NUM_THREADS, else the cores).
  explicit OpenMPExecutor(Index threads = 0) noexcept : threads_(threads > 0 ? threads : omp_get_max_threads()) {}
  Index workers() const noexcept { return threads_; }
  template <class Job>
  void parallel_for(Index count, Job&& job) {
    if (count == 1 || threads_ == 1) return SerialExecutor{}.parallel_for(count, std::forward<Job>(job));
#pragma omp parallel for schedule(dynamic, 1) num_threads(static_cast<int>(threads_))
    for (Index i = 0; i < count; ++i) job(i, static_cast<Index>(omp_get_thread_num()));
  }

 private:
  Index threads_;
};
using DefaultExecutor = OpenMPExecutor;
#else
using DefaultExecutor = SerialExecutor;
#endif

static_assert(Executor<SerialExecutor> && Executor<DefaultExecutor>);

}  // namespace embedpool
