#pragma once
#include <cxxabi.h>

#include <climits>
#include <cstdlib>
#include <memory>
#include <string>
#include <typeinfo>
#include <unordered_set>

#include "embedpool/cuda/availability.cuh"
#include "embedpool/cuda/grid/device_thread.cuh"
#include "embedpool/cuda/kernels/scale_rows.cuh"
#include "embedpool/cuda/matrix_products.cuh"
#include "embedpool/cuda/stream_memory.cuh"

namespace embedpool::cuda {

/// A stream of a GPU of compute capability 8.0 or later, as a Device.
///
/// Nothing waits but wait(). In steady state nothing is allocated or searched for either, so that the same work can be
/// captured in a CUDA graph (graph.cuh) after it ran once: the first run gets the memory of buffers and of the
/// workspace of products, chooses an algorithm for each shape of product, loads kernels, and raises their limits of
/// shared memory. A captured copy_in or copy_out goes to the same place of the host's memory at each launch of the
/// graph.
///
/// Requires  the GPU that is current when the device is made is current whenever it is used or destroyed; one thread at
///           a time uses it
/// Errors    CudaError: the call and CUDA's text; of a kernel its type. Failures of running work show in a later call
class CudaDevice {
 public:
  /// Runs on `stream`, which the caller keeps alive, or on a new one, which does not wait for the default stream.
  /// Memory comes from `memory`, which must hand out memory of this GPU and may be given back what the stream still
  /// reads; or from a StreamMemory.
  explicit CudaDevice(cudaStream_t stream = nullptr, std::pmr::memory_resource* memory = nullptr)
      : parts_(std::make_unique<Parts>()) {
    if (const std::string reason = gpu_unavailable_because(); !reason.empty()) throw CudaError("CudaDevice", reason);
    if (!stream) {
      check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
      parts_->own_stream.reset(stream);
    }
    parts_->stream = stream;
    if (!memory) {
      parts_->own_memory = std::make_unique<StreamMemory>(stream);
      memory = parts_->own_memory.get();
    }
    parts_->memory = memory;
  }

  /// See gpu_unavailable_because.
  static bool available() { return gpu_unavailable_because().empty(); }

  cudaStream_t stream() const noexcept { return parts_->stream; }
  /// Errors  CudaError while the stream is captured in a graph
  std::pmr::memory_resource* memory() const {
    require_not_captured(stream(), "CudaDevice::memory");
    return parts_->memory;
  }

  void copy_in(void* to, const void* from, Index bytes) { copy(to, from, bytes, cudaMemcpyHostToDevice); }
  void copy_out(void* to, const void* from, Index bytes) { copy(to, from, bytes, cudaMemcpyDeviceToHost); }
  void copy(void* to, const void* from, Index bytes) { copy(to, from, bytes, cudaMemcpyDeviceToDevice); }
  void clear(void* to, Index bytes) {
    if (bytes > 0) check(cudaMemsetAsync(to, 0, static_cast<std::size_t>(bytes), stream()), "cudaMemsetAsync");
  }
  void wait() { check(cudaStreamSynchronize(stream()), "cudaStreamSynchronize"); }

  /// Errors  ShapeError for more blocks or shared memory than a launch can have
  template <Kernel K>
  void launch(const K& kernel) {
    const LaunchShape shape = kernel.launch_shape();
    if (shape.blocks == 0) return;
    if (shape.blocks < 0 || shape.blocks > INT_MAX || shape.shared_bytes < 0 ||
        shape.shared_bytes > largest_shared_bytes) {
      require_in(name_of<K>(), "blocks", shape.blocks, 0, INT_MAX);
      require_in(name_of<K>(), "bytes of shared memory", shape.shared_bytes, 0, largest_shared_bytes);
    }
    if (shape.shared_bytes > shared_bytes_without_asking) ask_for_shared_memory<K>();
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(shape.blocks));
    config.blockDim = dim3(K::threads);
    config.dynamicSmemBytes = static_cast<std::size_t>(shape.shared_bytes);
    config.stream = stream();
    if (const auto status = cudaLaunchKernelEx(&config, run_kernel<K>, kernel); status != cudaSuccess)
      check(status, name_of<K>());
  }

  /// See MatrixProducts.
  template <DeviceElement T, DeviceElement U>
  void multiply(const Product<T, U>& product) {
    const ProductShape shape = shape_of(product);
    if (shape.rows == 0 || shape.cols == 0) return;
    if (shape.inner > 0)
      parts_->products.multiply(*this, shape, product);
    else if (product.beta != 1)
      launch(ScaleRows<U>{product.out, product.beta});  // a sum of nothing
  }

 private:
  static constexpr Index shared_bytes_without_asking = 48 * 1024;

  struct DestroyStream {
    void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
  };
  /// In one place that does not move, for buffers know their memory; destroyed from the last to the first.
  struct Parts {
    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, DestroyStream> own_stream;
    std::unique_ptr<StreamMemory> own_memory;
    cudaStream_t stream = nullptr;
    std::pmr::memory_resource* memory = nullptr;
    MatrixProducts products;
    std::unordered_set<const void*> with_more_shared_memory;  ///< kernels
  };

  void copy(void* to, const void* from, Index bytes, cudaMemcpyKind kind) {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), kind, stream()), "cudaMemcpyAsync");
  }

  /// The readable name of a kernel's type.
  template <class K>
  static std::string name_of() {
    const std::unique_ptr<char, decltype(&std::free)> name(
        abi::__cxa_demangle(typeid(K).name(), nullptr, nullptr, nullptr), &std::free);
    return name ? name.get() : typeid(K).name();
  }

  template <class K>
  void ask_for_shared_memory() {
    const void* const kernel = reinterpret_cast<const void*>(run_kernel<K>);
    if (parts_->with_more_shared_memory.contains(kernel)) return;
    if (const auto status = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                 static_cast<int>(largest_shared_bytes));
        status != cudaSuccess)
      check(status, name_of<K>());
    parts_->with_more_shared_memory.insert(kernel);
  }

  std::unique_ptr<Parts> parts_;
};
static_assert(Device<CudaDevice>);

}  // namespace embedpool::cuda
