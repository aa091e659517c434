#include "require_gpu.hpp"

#include <string>

#include "embedpool/cuda/cuda_device.cuh"

namespace embedpool::program {

void require_gpu(const AnyCompute& compute) {
  if (!cuda::CudaDevice::available()) throw Error("--device cuda: " + cuda::gpu_unavailable_because());
  if (compute.name() == "int8") throw Error("--device cuda: --compute must be f32 or bf16, got int8");
}

}  // namespace embedpool::program
