#pragma once
#include <cuda_runtime.h>

#include <string>

namespace embedpool::cuda {

/// Why the current GPU cannot run the kernels, in one line; empty where it can. Any C++ compiler reads this header.
inline std::string gpu_unavailable_because() {
  int count = 0, device = 0, major = 0, minor = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count == 0) return "no CUDA device";
  if (status == cudaSuccess) status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
  if (status != cudaSuccess) {
    cudaGetLastError();  // told here: not once more by the caller's next check
    return cudaGetErrorString(status);
  }
  if (major >= 8) return {};
  return "compute capability " + std::to_string(major) + "." + std::to_string(minor) + ", and 8.0 is needed";
}

}  // namespace embedpool::cuda
