/// Your engine has a thread pool already: embedpool works on it, and starts no thread of its own.
///
/// An Executor is two functions. The pool here is a stand-in for an engine's: a queue of tasks.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <latch>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "embedpool/pooling.hpp"

using namespace embedpool;

/// What engines have: threads that take tasks from a queue.
class EnginePool {
 public:
  explicit EnginePool(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this](std::stop_token stop) { serve(stop); });
  }
  int size() const { return static_cast<int>(threads_.size()); }
  void submit(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push(std::move(task));
    }
    wake_.notify_one();
  }

 private:
  void serve(std::stop_token stop) {
    while (true) {
      std::unique_lock lock(mutex_);
      if (!wake_.wait(lock, stop, [this] { return !tasks_.empty(); })) return;
      const auto task = std::move(tasks_.front());
      tasks_.pop();
      lock.unlock();
      task();
    }
  }
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::queue<std::function<void()>> tasks_;
  std::vector<std::jthread> threads_;  // last: it ends before what it uses
};

/// The adapter: one task for each thread of the pool, which takes jobs from a counter until none is left. Jobs are small,
/// so a thread that comes late or is held up costs little, and the result does not depend on who does what.
class EngineExecutor {
 public:
  explicit EngineExecutor(EnginePool& pool) : pool_(&pool) {}
  Index workers() const noexcept { return pool_->size(); }
  template <class Job>
  void parallel_for(Index count, Job&& job) {
    std::atomic<Index> next = 0;
    std::latch done(pool_->size());
    for (int worker = 0; worker < pool_->size(); ++worker)
      pool_->submit([&, worker] {
        for (Index i; (i = next.fetch_add(1)) < count;) job(i, static_cast<Index>(worker));
        done.count_down();
      });
    done.wait();
  }

 private:
  EnginePool* pool_;
};
static_assert(Executor<EngineExecutor>);

int main() {
  // Four texts in two layers of 32 values, from somewhere.
  Segments segments;
  for (const Index tokens : {5, 1, 17, 8}) segments.add(TextShape::bare(tokens));
  const RowSelection every_token = RowSelection::all(segments);
  std::vector<float> buffer(static_cast<std::size_t>(segments.rows() * 32));
  for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = static_cast<float>(i * 7 % 101) - 50.0f;
  const Rows<const float> states(buffer.data(), segments.rows(), 32);

  const auto embed = [&](auto& executor) {
    const Pooling<EveryLayer, TokenMean, LayerMean> pooling;
    const decltype(pooling)::Params<float> params{};
    auto stream = pooling.stream<float>(params, segments, 2, 32, executor);
    for (const Index layer : {1, 2}) stream.push(layer, LayerStates<float>{states, &segments, &every_token});
    return Finishing{}.forward(stream.finish(executor));
  };

  EnginePool pool(3);
  EngineExecutor on_pool(pool);
  SerialExecutor serial;
  const Matrix<float> ours = embed(on_pool), alone = embed(serial);
  std::printf("%td texts of %td values on the engine's %td threads\n", ours.rows(), ours.cols(), on_pool.workers());
  if (ours != alone) {
    std::puts("the bits depend on the threads");
    return 1;
  }
  std::puts("the same bits as on one thread");
  return 0;
}
