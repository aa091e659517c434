#include <cstdio>

#include "embedpool/cuda/cuda_device.cuh"
#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/kernels/rms_norm.cuh"

// Normalises a row on the GPU, where there is one.
int main() {
  using namespace embedpool;
  if (!cuda::CudaDevice::available()) {
    std::printf("no GPU: %s\n", cuda::gpu_unavailable_because().c_str());
    return 0;
  }
  cuda::CudaDevice device;
  float row[2] = {3, 4}, gain[2] = {1, 1};
  cuda::DeviceBuffer<float> x, weight;
  x.upload(device, std::span<const float>(row));
  weight.upload(device, std::span<const float>(gain));
  const Rows<float> rows(x.data(), 1, 2);
  device.launch(cuda::RmsNorm<float>{rows, weight.data(), 0, rows});
  device.copy_out(row, x.data(), sizeof row);
  device.wait();
  std::printf("%f %f\n", row[0], row[1]);
  return row[0] * row[0] + row[1] * row[1] > 1.999f ? 0 : 1;  // the mean square is 1
}
