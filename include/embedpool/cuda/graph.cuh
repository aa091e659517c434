#pragma once
#include <memory>
#include <utility>

#include "embedpool/cuda/cuda_device.cuh"

namespace embedpool::cuda {

/// Work of a stream that was recorded once and is launched as a whole: hundreds of small kernels without the time that
/// each takes to launch. The same shapes, the same memory, new values in it.
///
/// Requires  the work has run once on the same device (see CudaDevice), and its buffers outlive the graph
class Graph {
 public:
  /// Records what `work` gives to the device, without running it; `work` must not wait().
  /// Errors  CudaError for what cannot be recorded; the device is as before, the graph too
  template <class F>
  void capture(CudaDevice& device, F&& work) {
    check(cudaStreamBeginCapture(device.stream(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    cudaGraph_t recorded = nullptr;
    try {
      std::forward<F>(work)();
    } catch (...) {
      cudaStreamEndCapture(device.stream(), &recorded);
      if (recorded) cudaGraphDestroy(recorded);
      cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(device.stream(), &recorded), "cudaStreamEndCapture");
    cudaGraphExec_t ready = nullptr;
    const auto status = cudaGraphInstantiate(&ready, recorded, 0);
    cudaGraphDestroy(recorded);
    check(status, "cudaGraphInstantiate");
    ready_.reset(ready);
  }

  /// Runs it, behind what the device was told before.
  void launch(CudaDevice& device) const { check(cudaGraphLaunch(ready_.get(), device.stream()), "cudaGraphLaunch"); }

 private:
  struct Destroy {
    void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy> ready_;
};

}  // namespace embedpool::cuda
