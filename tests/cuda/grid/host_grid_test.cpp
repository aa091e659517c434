#include <doctest/doctest.h>

#include <vector>

#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/host_device.hpp"

using namespace embedpool;
using namespace embedpool::cuda;

namespace {

/// Sums of the numbers of its threads, through both reductions.
struct CountThreads {
  static constexpr int threads = 96;
  int* out;
  LaunchShape launch_shape() const { return {3, 3 * Index(sizeof(int))}; }
  template <GridThread T>
  void operator()(const T& thread) const {
    const int all = block_reduce(thread, thread.index(), Sum{}, reinterpret_cast<int*>(thread.shared()));
    const int largest = block_reduce(thread, thread.index(), Largest{}, reinterpret_cast<int*>(thread.shared()));
    out[thread.block() * threads + thread.index()] = 1000 * all + largest;
  }
};

/// Turns the block's values round through shared memory; `careful` says whether it waits between writing and reading.
struct Reverse {
  static constexpr int threads = 64;
  bool careful;
  int* values;
  LaunchShape launch_shape() const { return {1, threads * Index(sizeof(int))}; }
  template <GridThread T>
  void operator()(const T& thread) const {
    int* const shared = reinterpret_cast<int*>(thread.shared());
    shared[thread.index()] = values[thread.index()];
    if (careful) thread.synchronize();
    values[thread.index()] = shared[threads - 1 - thread.index()];
  }
};

struct LeavesEarly {
  static constexpr int threads = 32;
  LaunchShape launch_shape() const { return {1, 0}; }
  template <GridThread T>
  void operator()(const T& thread) const {
    if (thread.index() == 5) return;
    thread.synchronize();
  }
};

struct Throws {
  static constexpr int threads = 32;
  LaunchShape launch_shape() const { return {1, 0}; }
  template <GridThread T>
  void operator()(const T& thread) const {
    thread.synchronize();
    if (thread.index() == 7) throw ShapeError("seven");
  }
};

/// C = A B of one tile by the tensor core's instruction, fragments loaded from shared memory.
template <class E>
struct MultiplyTile {
  static constexpr int threads = 32;
  const E* a;  // [16, 16]
  const E* b;  // [16, 8]
  float* c;    // [16, 8]
  LaunchShape launch_shape() const { return {1, (16 * 16 + 2 * 16 * 8) * Index(sizeof(E))}; }
  template <GridThread T>
  void operator()(const T& thread) const {
    std::byte* const left = thread.shared();
    std::byte* const right = left + 16 * 16 * sizeof(E);
    const auto bytes = [](const E* p) { return reinterpret_cast<const std::byte*>(p); };
    thread.copy_async(left + 16 * thread.lane(), bytes(a) + 16 * thread.lane());
    thread.commit_copies();
    if (thread.lane() < 16) thread.copy_async(right + 16 * thread.lane(), bytes(b) + 16 * thread.lane());
    if (thread.lane() < 16) thread.copy_async(right + 256 + 16 * thread.lane(), bytes(b) + 16 * thread.lane());
    thread.commit_copies();
    thread.template wait_for_copies<0>();
    thread.synchronize();
    const int tile = thread.lane() / 8, row = thread.lane() % 8;
    const LeftFragment x = thread.load_matrices(left + 32 * (row + tile % 2 * 8) + tile / 2 * 16);
    const LeftFragment y = thread.load_matrices_transposed(right + 16 * (row + tile * 8));
    const SumFragment sum = thread.multiply_add(SumFragment{}, x, RightFragment{y[0], y[1]}, E{});
    for (int i = 0; i < 4; ++i)
      c[(thread.lane() / 4 + i / 2 * 8) * 8 + 2 * (thread.lane() % 4) + i % 2] = sum[static_cast<std::size_t>(i)];
  }
};

}  // namespace

TEST_CASE("a block's reductions see every thread once, in every block and order") {
  for (const RunOrder order : {RunOrder::rising, RunOrder::falling}) {
    std::vector<int> out(3 * 96, -1);
    HostDevice(order).launch(CountThreads{out.data()});
    for (const int value : out) CHECK(value == 1000 * (95 * 96 / 2) + 95);
  }
}

TEST_CASE("a missing barrier shows as a difference between orders") {
  const auto reversed = [](bool careful, RunOrder order) {
    std::vector<int> values(64);
    for (int i = 0; i < 64; ++i) values[static_cast<std::size_t>(i)] = i;
    HostDevice(order).launch(Reverse{careful, values.data()});
    return values;
  };
  CHECK(reversed(true, RunOrder::rising) == reversed(true, RunOrder::falling));
  CHECK(reversed(true, RunOrder::rising)[0] == 63);
  CHECK(reversed(false, RunOrder::rising) != reversed(false, RunOrder::falling));
}

TEST_CASE("threads that wait for one that has left are an error that names them, and so is an exception of a thread") {
  CHECK_THROWS_WITH_AS(HostDevice().launch(LeavesEarly{}), doctest::Contains("thread 0 waits for its block"), GridError);
  CHECK_THROWS_WITH_AS(HostDevice().launch(Throws{}), "seven", ShapeError);
}

TEST_CASE_TEMPLATE("tile products with asynchronous copies are those of the plain loop", E, bf16, f16) {
  std::vector<E> a, b;
  for (int i = 0; i < 256; ++i) a.push_back(rounded<E>(static_cast<float>(i % 13 - 6) / 4));
  for (int i = 0; i < 128; ++i) b.push_back(rounded<E>(static_cast<float>(i % 7 - 3) / 2));
  for (const RunOrder order : {RunOrder::rising, RunOrder::falling}) {
    std::vector<float> c(128);
    HostDevice(order).launch(MultiplyTile<E>{a.data(), b.data(), c.data()});
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 8; ++j) {
        float sum = 0;  // exact: small multiples of 1/8
        for (int k = 0; k < 16; ++k)
          sum += to_float(a[static_cast<std::size_t>(i * 16 + k)]) * to_float(b[static_cast<std::size_t>(k * 8 + j)]);
        CHECK(c[static_cast<std::size_t>(i * 8 + j)] == sum);
      }
  }
}
