#pragma once
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "embedpool/cuda/cuda_device.cuh"

namespace embedpool::bench {

/// Median seconds of `work` on the GPU, by events around each of several runs, after one that is not counted.
template <class Work>
double seconds(cuda::CudaDevice& gpu, Work&& work, int runs = 15) {
  work();
  std::vector<float> times;
  cudaEvent_t begin, end;
  cuda::check(cudaEventCreate(&begin), "cudaEventCreate");
  cuda::check(cudaEventCreate(&end), "cudaEventCreate");
  for (int i = 0; i < runs; ++i) {
    cuda::check(cudaEventRecord(begin, gpu.stream()), "cudaEventRecord");
    work();
    cuda::check(cudaEventRecord(end, gpu.stream()), "cudaEventRecord");
    gpu.wait();
    cuda::check(cudaEventElapsedTime(&times.emplace_back(), begin, end), "cudaEventElapsedTime");
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::ranges::nth_element(times, times.begin() + runs / 2);
  return static_cast<double>(times[static_cast<std::size_t>(runs / 2)]) * 1e-3;
}

/// What this GPU reaches at best: a large copy in bytes a second, and a large product of 16-bit values in operations.
struct Peaks {
  double bytes = 0;
  double operations = 0;

  static Peaks measured(cuda::CudaDevice& gpu) {
    const Index size = Index(1) << 29, side = 8192;
    cuda::DeviceBuffer<std::byte> from, to;
    std::byte *const a = from.reserve(gpu, size), *const b = to.reserve(gpu, size);
    cuda::DeviceBuffer<bf16> left, right, out;
    const auto product = cuda::linear(Rows<const bf16>(left.rows(gpu, side, side)), Rows<const bf16>(right.rows(gpu, side, side)),
                                      out.rows(gpu, side, side));
    gpu.clear(left.data(), side * side * Index(sizeof(bf16)));
    gpu.clear(right.data(), side * side * Index(sizeof(bf16)));
    return {2.0 * static_cast<double>(size) / seconds(gpu, [&] { gpu.copy(b, a, size); }),
            2.0 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side) /
                seconds(gpu, [&] { gpu.multiply(product); })};
  }
};

/// Lines of the table: what was run, its time, and its share of what bounds it.
struct Table {
  Peaks peaks;

  void bytes(const std::string& name, double time, double moved) const {
    line(name, time, moved / time * 1e-9, "GB/s", moved / time / peaks.bytes);
  }
  void operations(const std::string& name, double time, double count) const {
    line(name, time, count / time * 1e-12, "TFLOP/s", count / time / peaks.operations);
  }

 private:
  static void line(const std::string& name, double time, double rate, const char* unit, double share) {
    std::printf("| %-58s | %9.1f | %8.1f %-7s | %3.0f %% |\n", name.c_str(), time * 1e6, rate, unit, 100 * share);
    std::fflush(stdout);
  }
};

}  // namespace embedpool::bench
