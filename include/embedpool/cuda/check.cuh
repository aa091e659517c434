#pragma once
#include <cublasLt.h>
#include <cuda_runtime.h>

#include "embedpool/cuda/cuda_error.hpp"

namespace embedpool::cuda {

/// Throws CudaError("<call>: <CUDA's text>") unless `status` is success.
inline void check(cudaError_t status, std::string_view call) {
  if (status == cudaSuccess) [[likely]]
    return;
  cudaGetLastError();  // reported now: not once more by the caller's next check
  throw CudaError(call, cudaGetErrorString(status));
}

/// The same of cuBLASLt.
inline void check(cublasStatus_t status, std::string_view call) {
  if (status == CUBLAS_STATUS_SUCCESS) [[likely]]
    return;
  throw CudaError(call, cublasLtGetStatusString(status));
}

}  // namespace embedpool::cuda
