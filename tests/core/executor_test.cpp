#include <doctest/doctest.h>

#include <atomic>
#include <vector>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/core/error.hpp"
#include "embedpool/core/parallel_guarded.hpp"

using namespace embedpool;

namespace {

template <class E>
void check_every_job_runs_once(E executor) {
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
