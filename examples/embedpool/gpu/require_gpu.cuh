#pragma once
#include <string>

#include "embedpool/cuda/cuda_device.cuh"
#include "embedpool/nn/any_compute.hpp"

namespace embedpool::program {

/// Errors: Error that says why this machine's GPU cannot be used, or that it does not compute like that.
inline void require_gpu(const AnyCompute& compute) {
  if (!cuda::CudaDevice::available()) throw Error("--device cuda: " + cuda::gpu_unavailable_because());
  if (compute.name() == "int8") throw Error("--device cuda: --compute must be f32 or bf16, got int8");
}

}  // namespace embedpool::program
