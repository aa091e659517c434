#pragma once
#include <algorithm>
#include <cstdint>
#include <memory_resource>
#include <string>

#include "embedpool/cuda/check.cuh"

namespace embedpool::cuda {

/// Refuses memory for a stream that is captured in a graph: what a graph allocates is gone after it.
///
/// Errors  CudaError of `call`
inline void require_not_captured(cudaStream_t stream, const std::string& call) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &capture), "cudaStreamIsCapturing");
  if (capture != cudaStreamCaptureStatusNone)
    throw CudaError(call, "not while a graph is captured: the same work has to run once before");
}

/// Memory of the current GPU in the order of a stream: given back, it may still be read by what the stream was told
/// before, and what is asked for next may be the same memory. A pool of its own keeps freed memory until it is
/// destroyed.
///
/// Requires  the stream lives longer than the resource and all that it gave out
/// Errors    CudaError where memory is out, or while the stream is captured in a graph: the work must have run once before
class StreamMemory final : public std::pmr::memory_resource {
 public:
  explicit StreamMemory(cudaStream_t stream) : stream_(stream) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    check(cudaGetDevice(&properties.location.id), "cudaGetDevice");
    check(cudaMemPoolCreate(&pool_, &properties), "cudaMemPoolCreate");
    std::uint64_t kept = UINT64_MAX;
    if (const auto status = cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &kept);
        status != cudaSuccess) {
      cudaMemPoolDestroy(pool_);
      check(status, "cudaMemPoolSetAttribute");
    }
  }
  StreamMemory(const StreamMemory&) = delete;
  StreamMemory& operator=(const StreamMemory&) = delete;
  ~StreamMemory() override { cudaMemPoolDestroy(pool_); }  // waits for nothing: CUDA frees it behind its last use

 private:
  static constexpr std::size_t largest_alignment = 256;

  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    const std::string call = "cudaMallocFromPoolAsync of " + std::to_string(bytes) + " bytes";
    if (alignment > largest_alignment) throw CudaError(call, "aligned to " + std::to_string(alignment));
    require_not_captured(stream_, call);
    void* memory = nullptr;
    check(cudaMallocFromPoolAsync(&memory, std::max(bytes, std::size_t{1}), pool_, stream_), call);
    return memory;
  }
  void do_deallocate(void* memory, std::size_t, std::size_t) override { cudaFreeAsync(memory, stream_); }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  cudaStream_t stream_;
  cudaMemPool_t pool_ = nullptr;
};

}  // namespace embedpool::cuda
