#pragma once
#include <algorithm>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "embedpool/core/executor.hpp"

namespace embedpool {

/// An Executor with threads of its own: needs no OpenMP, and leaves the processor alone between calls.
///
/// Jobs are claimed one at a time from a single word, so a core that is taken away costs the job that it holds and no
/// more: a call waits for claimed jobs, never for a thread that has not come. Idle threads look out for the next call
/// for `alert` (the pauses within a forward pass are shorter) and then sleep.
///
/// One call at a time. Threads of an engine that embed at once take a pool each, or a SerialExecutor.
class ThreadPool {
 public:
  /// `threads` counts the calling thread; 0: as many as the process may run at once. Where the system gives fewer, workers()
  /// says so: results are the same.
  explicit ThreadPool(Index threads = 0) {
    if (threads <= 0) threads = std::max<Index>(1, static_cast<Index>(std::thread::hardware_concurrency()));
    try {
      for (Index worker = 1; worker < threads; ++worker) threads_.emplace_back([this, worker] { serve(worker); });
    } catch (const std::exception&) {  // no more threads, or no memory for their list
    }
  }
  ~ThreadPool() {
    stop_.store(true);
    announce();
    for (std::thread& thread : threads_) thread.join();
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  Index workers() const noexcept { return static_cast<Index>(threads_.size()) + 1; }

  template <class Job>
  void parallel_for(Index count, Job&& job) {
    if (count <= 1 || threads_.empty()) return SerialExecutor{}.parallel_for(count, job);
    assert(count < Index(1) << 32);
    // Nobody reads these before claiming a job of the new word, and all claimed jobs of the old one are done.
    run_ = [](const void* function, Index i, Index worker) {
      (*static_cast<std::remove_reference_t<Job>*>(const_cast<void*>(function)))(i, worker);
    };
    function_ = std::addressof(job);
    done_.store(0, std::memory_order_relaxed);
    jobs_.store(static_cast<std::uint64_t>(count) << 32);
    announce();
    work(0);
    for (int look = 0; done_.load(std::memory_order_acquire) < count; ++look) relax(look);
  }

 private:
  static constexpr std::chrono::microseconds alert{50};

  /// Claims and runs jobs until none is left.
  void work(Index worker) noexcept {
    std::uint64_t jobs = jobs_.load(std::memory_order_acquire);
    for (;;) {
      const auto next = static_cast<std::uint32_t>(jobs);
      if (next >= jobs >> 32) return;
      if (!jobs_.compare_exchange_weak(jobs, jobs + 1, std::memory_order_acq_rel)) continue;
      run_(function_, static_cast<Index>(next), worker);
      done_.fetch_add(1, std::memory_order_release);
      jobs = jobs_.load(std::memory_order_acquire);
    }
  }

  /// Tells the threads that jobs_ or stop_ has changed. A thread counts itself as a sleeper before it looks at calls_
  /// for the last time, and here calls_ changes before sleepers are counted: one of the two sees the other.
  void announce() noexcept {
    calls_.fetch_add(1);
    if (sleepers_.load() > 0) calls_.notify_all();
  }

  void serve(Index worker) noexcept {
    for (std::uint32_t seen = 0; !stop_.load();) {
      work(worker);
      seen = await_call(seen);
    }
  }

  /// The value of calls_ once it differs from `seen`.
  std::uint32_t await_call(std::uint32_t seen) noexcept {
    const auto start = std::chrono::steady_clock::now();
    for (int look = 0;; ++look) {
      if (const std::uint32_t now = calls_.load(); now != seen) return now;
      if (look % 16 == 15 && std::chrono::steady_clock::now() - start > alert) break;
      relax(0);
    }
    sleepers_.fetch_add(1);
    calls_.wait(seen);
    sleepers_.fetch_sub(1);
    return calls_.load();
  }

  /// Lets the core rest for a moment. Who has looked many times gives it to others: the thread that holds the last job
  /// may be waiting for this very core.
  static void relax(int look) noexcept {
    if (look > 2000) return std::this_thread::yield();
#if defined(__x86_64__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
  }

  void (*run_)(const void*, Index, Index) = nullptr;
  const void* function_ = nullptr;
  alignas(64) std::atomic<std::uint64_t> jobs_{0};  ///< high half: jobs of this call, low half: jobs claimed
  alignas(64) std::atomic<Index> done_{0};
  alignas(64) std::atomic<std::uint32_t> calls_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_{};
};

static_assert(Executor<ThreadPool>);

}  // namespace embedpool
