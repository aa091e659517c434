#include <doctest/doctest.h>

#include <string>
#include <type_traits>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/graph.cuh"
#include "support/refused.hpp"

using namespace embedpool;

namespace {
/// out[b] = b, by way of as much shared memory as is asked for.
struct BlockNumbers {
  static constexpr int threads = 64;
  float* out;
  Index blocks;
  Index shared_bytes;

  cuda::LaunchShape launch_shape() const noexcept { return {blocks, shared_bytes}; }

  template <cuda::GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    float* const last = reinterpret_cast<float*>(thread.shared() + shared_bytes) - 1;
    if (thread.index() == 40) *last = static_cast<float>(thread.block());
    thread.synchronize();
    if (thread.index() == 0) out[thread.block()] = *last;
  }
};

}  // namespace

static_assert(!std::is_copy_constructible_v<cuda::CudaDevice> &&
              std::is_nothrow_move_constructible_v<cuda::CudaDevice> &&
              std::is_nothrow_move_assignable_v<cuda::CudaDevice>);

TEST_CASE("a kernel has little and much shared memory, up to the limit, and a refusal names its type") {
  cuda::CudaDevice device;
  for (const Index bytes : {Index{16}, Index{48 * 1024}, Index{48 * 1024 + 16}, cuda::largest_shared_bytes}) {
    CAPTURE(bytes);
    const test::OnDevice<float> out(device, std::vector<float>(3, -1));
    device.launch(BlockNumbers{out.data(), 3, bytes});
    CHECK(out.values() == std::vector<float>{0, 1, 2});
  }
  device.launch(BlockNumbers{nullptr, 0, 16});
  const auto launch = [&](Index blocks, Index bytes) {
    return test::refusal<Error>([&] { device.launch(BlockNumbers{nullptr, blocks, bytes}); });
  };
  CHECK(launch(1, cuda::largest_shared_bytes + 1).find("BlockNumbers: bytes of shared memory") != std::string::npos);
  CHECK(launch(Index{1} << 31, 16).find("BlockNumbers: blocks") != std::string::npos);
}

TEST_CASE("memory is kept and used again, and buffers keep theirs when the device moves") {
  std::vector<cuda::CudaDevice> kept;  // lives longer than what the device gives out
  cuda::CudaDevice device;
  const test::OnDevice<float> values(device, std::vector<float>{1, 2, 3});
  cuda::CudaDevice& moved = kept.emplace_back(std::move(device));
  std::vector<float> out(3);
  moved.copy_out(out.data(), values.data(), 3 * sizeof(float));
  moved.wait();
  CHECK(out == std::vector<float>{1, 2, 3});
  void* const first = moved.memory()->allocate(1 << 20, 256);
  moved.memory()->deallocate(first, 1 << 20, 256);
  void* const second = moved.memory()->allocate(1 << 20, 256);
  CHECK(first == second);
  moved.memory()->deallocate(second, 1 << 20, 256);
  CHECK(test::refusal<Error>([&] {
          (void)moved.memory()->allocate(std::size_t{1} << 60, 256);
        }).find("1152921504606846976 bytes") != std::string::npos);
}

TEST_CASE("work that ran once is captured in a graph, which sees new values; memory is refused while it is captured") {
  cuda::CudaDevice device;
  const Index n = 24;
  const auto x = test::random_elements<float>(n * n, 1), w = test::random_elements<float>(n * n, 2);
  const test::OnDevice<float> left(device, x, n, n), right(device, w, n, n),
      out(device, std::vector<float>(n * n), n, n);
  const auto work = [&] {
    device.multiply(cuda::linear<float, float>(left.rows(), right.rows(), out.rows()));
    device.launch(cuda::ScaleRows<float>{out.rows(), 2});
  };
  work();
  const std::vector<float> expected = out.values();
  device.clear(out.data(), n * n * sizeof(float));

  cuda::Graph graph;
  graph.capture(device, work);
  CHECK(out.values() == std::vector<float>(n * n));  // recorded, not run
  graph.launch(device);
  CHECK(out.values() == expected);
  device.clear(left.data(), n * n * sizeof(float));
  graph.launch(device);
  CHECK(out.values() == std::vector<float>(n * n));

  cuda::DeviceBuffer<float> grown;
  const float* const before = grown.reserve(device, 10);
  CHECK(test::refusal<Error>([&] { graph.capture(device, [&] { grown.reserve(device, 1000); }); }).find("captured") !=
        std::string::npos);
  CHECK(grown.data() == before);
  graph.launch(device);  // the one from before
  device.wait();
}

TEST_CASE("a device works on the caller's stream, with the caller's memory") {
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
  {
    cuda::StreamMemory memory(stream);
    cuda::CudaDevice device(stream, &memory);
    CHECK(device.stream() == stream);
    CHECK(device.memory() == &memory);
    const test::OnDevice<float> out(device, std::vector<float>(2));
    device.launch(BlockNumbers{out.data(), 2, 16});
    CHECK(out.values() == std::vector<float>{0, 1});
  }
  REQUIRE(cudaStreamDestroy(stream) == cudaSuccess);
}
