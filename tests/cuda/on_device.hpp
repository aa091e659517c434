#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/element.hpp"
#include "kernels/random_values.hpp"
#if defined(EMBEDPOOL_TEST_ON_GPU)
#include "embedpool/cuda/cuda_device.cuh"
#elif defined(EMBEDPOOL_TEST_HOST_CUBLASLT)
#include "cuda/gpu/host_cublaslt.hpp"
#elif defined(EMBEDPOOL_TEST_GUARDED_MEMORY)
#include "cuda/guarded_device.hpp"
#else
#include "embedpool/cuda/host_device.hpp"
#endif

/// Tests of kernels say what must be true on any device; here is which devices there are: the host, in both orders of
/// threads (with EMBEDPOOL_TEST_GUARDED_MEMORY, memory that the test itself may not touch), or the GPU in programs that
/// nvcc compiles with EMBEDPOOL_TEST_ON_GPU (which run no test where there is none).
namespace embedpool::test {

#if defined(EMBEDPOOL_TEST_ON_GPU)
using TestDevice = cuda::CudaDevice;
#elif defined(EMBEDPOOL_TEST_HOST_CUBLASLT)
using TestDevice = HostCublasLtDevice;
#elif defined(EMBEDPOOL_TEST_GUARDED_MEMORY)
using TestDevice = GuardedDevice<cuda::HostDevice>;
#else
using TestDevice = cuda::HostDevice;
#endif

template <class F>
void on_every_device(F&& f) {
#ifdef EMBEDPOOL_TEST_ON_GPU
  TestDevice device;
  f(device);
#else
  for (const cuda::RunOrder order : {cuda::RunOrder::rising, cuda::RunOrder::falling}) {
    CAPTURE(static_cast<int>(order));
    TestDevice device(order);
    f(device);
  }
#endif
}

/// A matrix of the device with the host's values in it, and the way back.
template <class T>
class OnDevice {
 public:
  OnDevice(TestDevice& device, std::span<const T> values, Index rows, Index cols) : device_(&device) {
    REQUIRE(static_cast<Index>(values.size()) == rows * cols);
    rows_ = Rows<T>(buffer_.upload(device, values), rows, cols);
    device.wait();
  }
  OnDevice(TestDevice& device, const std::vector<T>& values, Index rows, Index cols)
      : OnDevice(device, std::span<const T>(values), rows, cols) {}
  /// One row.
  OnDevice(TestDevice& device, const std::vector<T>& values)
      : OnDevice(device, values, 1, static_cast<Index>(values.size())) {}

  Rows<T> rows() const { return rows_; }
  T* data() const { return rows_.data; }
  std::vector<T> values() const {
    std::vector<T> out(static_cast<std::size_t>(rows_.rows * rows_.cols));
    device_->copy_out(out.data(), rows_.data, static_cast<Index>(out.size() * sizeof(T)));
    device_->wait();
    return out;
  }

 private:
  TestDevice* device_;
  cuda::DeviceBuffer<T> buffer_;
  Rows<T> rows_;
};

/// Normal values from a seed, rounded to the storage type.
template <cuda::DeviceElement T>
std::vector<T> random_elements(Index count, unsigned seed) {
  std::vector<T> values;
  for (const float x : random_values<float>(count, seed)) values.push_back(cuda::rounded<T>(x));
  return values;
}

template <cuda::DeviceElement T>
std::vector<float> widened(const std::vector<T>& values) {
  std::vector<float> out;
  for (const T x : values) out.push_back(cuda::widened(x));
  return out;
}

/// Half the distance of neighbouring values around 1 in the storage type: the relative error of one rounding.
template <cuda::DeviceElement T>
inline constexpr double rounding = std::same_as<T, float> ? 0x1p-24 : std::same_as<T, f16> ? 0x1p-11 : 0x1p-8;

/// The largest difference, relative to the largest value expected.
template <class A, class B>
double relative_error(const std::vector<A>& got, const std::vector<B>& expected) {
  REQUIRE(got.size() == expected.size());
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    const double difference = std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
    if (std::isnan(difference)) return difference;  // which is smaller than no bound
    error = std::max(error, difference);
  }
  return largest > 0 ? error / largest : error;
}

}  // namespace embedpool::test
