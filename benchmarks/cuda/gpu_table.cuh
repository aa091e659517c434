#pragma once
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/cuda/cuda_device.cuh"
#include "embedpool/cuda/kernels/stripes.cuh"

namespace embedpool::bench {

/// to = values between -1 and 1, the same each time: on zeros a GPU draws less power and multiplies faster than on data.
template <cuda::DeviceElement T>
struct RandomValues {
  static constexpr int threads = cuda::stripe_threads;
  Rows<T> to;

  cuda::LaunchShape launch_shape() const noexcept { return cuda::stripes(to.rows, to.cols); }

  template <cuda::GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    cuda::for_stripe<T>(thread, to.cols, cuda::in_packs(to), [&](auto n, Index row, Index j) {
      std::array<float, n> values;
      for (int i = 0; i < n; ++i)
        values[static_cast<std::size_t>(i)] =
            static_cast<float>(random_word(random_key(1, row), static_cast<std::uint32_t>(j + i))) * 0x1p-31f - 1.0f;
      cuda::store(to.row_data(row) + j, values);
    });
  }
};

/// A matrix of random values on the GPU.
template <cuda::DeviceElement T>
struct RandomMatrix {
  cuda::DeviceBuffer<T> memory;
  Rows<T> matrix;
  RandomMatrix(cuda::CudaDevice& gpu, Index rows, Index columns) : matrix(memory.rows(gpu, rows, columns)) {
    gpu.launch(RandomValues<T>{matrix});
  }
  operator Rows<T>() const { return matrix; }
  operator Rows<const T>() const { return matrix; }
};

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
    const RandomMatrix<bf16> left(gpu, side, side), right(gpu, side, side), out(gpu, side, side);
    const auto product = cuda::linear(Rows<const bf16>(left), Rows<const bf16>(right), Rows<bf16>(out));
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
