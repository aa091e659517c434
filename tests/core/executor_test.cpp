#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <thread>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/error.hpp"
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/core/parallel_guarded.hpp"
#include "embedpool/core/serial_products.hpp"
#include "embedpool/core/thread_pool.hpp"

using namespace embedpool;

namespace {

template <class E>
void check_every_job_runs_once(E&& executor) {
  for (const Index count : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    std::atomic<bool> workers_fit = true;
    executor.parallel_for(count, [&](Index i, Index worker) {
      ++runs[static_cast<std::size_t>(i)];
      if (worker < 0 || worker >= executor.workers()) workers_fit = false;
    });
    for (const auto& times : runs) CHECK(times == 1);
    CHECK(workers_fit);
  }
}

}  // namespace

TEST_CASE("executors run every job once, with a worker in range") {
  check_every_job_runs_once(SerialExecutor{});
  check_every_job_runs_once(DefaultExecutor{});
#ifdef _OPENMP
  check_every_job_runs_once(OpenMPExecutor{3});
#endif
  for (const Index threads : {1, 2, 5}) check_every_job_runs_once(ThreadPool(threads));
}

TEST_CASE("an executor seen through a reference is the executor") {
  SerialExecutor serial;
  ThreadPool pool(3);
  check_every_job_runs_once(ExecutorRef(serial));
  check_every_job_runs_once(ExecutorRef(pool));
  CHECK(ExecutorRef(pool).workers() == 3);
}

#ifdef _OPENMP
TEST_CASE("serial products ask this thread for one OpenMP thread, and give the number back") {
  const int before = omp_get_max_threads();
  omp_set_num_threads(5);
  {
    const SerialProducts serial;
    CHECK(omp_get_max_threads() == 1);
  }
  CHECK(omp_get_max_threads() == 5);
  omp_set_num_threads(before);
}
#endif

TEST_CASE("what a call of a thread pool wrote is there when the next begins, call after call") {
  ThreadPool pool(3);
  std::vector<std::int64_t> values(64, 0);
  for (int call = 0; call < 5000; ++call) {
    const Index count = 2 + call % 7;
    pool.parallel_for(count, [&](Index i, Index) {  // reads what other workers wrote in earlier calls
      const auto place = static_cast<std::size_t>(i);
      values[place + 32] = values[(place + static_cast<std::size_t>(call)) % 9] + 1;
    });
    pool.parallel_for(9, [&](Index i, Index) { values[static_cast<std::size_t>(i)] = call; });
    for (Index i = 0; i < count; ++i) REQUIRE(values[static_cast<std::size_t>(i + 32)] == (call == 0 ? 1 : call));
  }
}

TEST_CASE("a thread pool wakes up after a pause, and its threads do not run while it pauses") {
  ThreadPool pool(4);
  std::atomic<int> runs = 0;
  for (int pause = 0; pause < 3; ++pause) {
    pool.parallel_for(100, [&](Index, Index) { ++runs; });
    const std::clock_t before = std::clock();  // of all threads of the process
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    // 3 threads that wait without sleeping would use 300 ms where there are cores for them, and 100 ms on any machine.
    CHECK(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 0.05);
  }
  CHECK(runs == 300);
}

TEST_CASE("a call of a thread pool ends when its last job has, whichever thread has it") {
  ThreadPool pool(2);
  for (int call = 0; call < 3; ++call) {
    std::atomic<int> begun = 0, ended = 0;
    pool.parallel_for(2, [&](Index, Index worker) {
      ++begun;
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (begun < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();  // each thread has one
      if (worker != 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
      ++ended;
    });
    CHECK(ended == 2);
  }
}

TEST_CASE("a thread that is held up costs a thread pool the job that it holds and no other") {
  ThreadPool pool(2);
  std::atomic<int> others = 0;
  pool.parallel_for(50, [&](Index, Index) {
    static std::atomic<bool> first;
    if (first.exchange(true)) {
      ++others;
    } else {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (others < 49 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      CHECK(others == 49);  // all others are done while this one lasts
    }
  });
}

TEST_CASE("of several jobs that throw the first by number is reported, after all have run") {
  DefaultExecutor executor;
  std::atomic<int> runs = 0;
  CHECK_THROWS_WITH(parallel_guarded(executor, 20,
                                     [&](Index i, Index) {
                                       ++runs;
                                       if (i % 7 == 3) throw Error("job " + std::to_string(i));
                                     }),
                    "job 3");
  CHECK(runs == 20);
}

TEST_CASE("buffers are aligned, grow, and move") {
  AlignedBuffer<float> buffer;
  for (const Index count : {1, 100, 1 << 20}) {
    float* data = buffer.reserve(count);
    CHECK(reinterpret_cast<std::uintptr_t>(data) % 64 == 0);
    CHECK(buffer.capacity() >= count);
    data[count - 1] = 1.0f;
  }
  const float* before = buffer.data();
  CHECK(buffer.reserve(5) == before);  // never shrinks
  AlignedBuffer<float> other = std::move(buffer);
  CHECK(other.data() == before);
}
