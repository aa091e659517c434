#pragma once
#include <doctest/doctest.h>

#include "embedpool/cuda/host_device.hpp"
#include "embedpool/cuda/matrix_products.cuh"

/// cuBLASLt without a GPU: its own descriptors, and the calls that need one replaced by plain column-major loops over
/// the host's memory. So a test sees which matrices, transposes and strides MatrixProducts asks for.
namespace embedpool::test {

class HostCublasLtDevice : public cuda::HostDevice {
 public:
  using HostDevice::HostDevice;
  cudaStream_t stream() const { return nullptr; }

  template <cuda::DeviceElement T, cuda::DeviceElement U>
  void multiply(const cuda::Product<T, U>& product) {
    const cuda::ProductShape shape = cuda::shape_of(product);
    if (shape.rows > 0 && shape.cols > 0 && shape.inner > 0)
      products_.multiply(*this, shape, product);
    else
      HostDevice::multiply(product);
  }

 private:
  cuda::MatrixProducts products_;
};

/// What a descriptor says of a matrix.
struct Layout {
  std::uint32_t type = 0;
  std::uint64_t rows = 0, cols = 0;
  std::int64_t stride = 0;

  explicit Layout(cublasLtMatrixLayout_t layout) {
    const auto read = [&](cublasLtMatrixLayoutAttribute_t which, auto& value) {
      std::size_t written = 0;
      REQUIRE(cublasLtMatrixLayoutGetAttribute(layout, which, &value, sizeof value, &written) == CUBLAS_STATUS_SUCCESS);
    };
    read(CUBLASLT_MATRIX_LAYOUT_TYPE, type);
    read(CUBLASLT_MATRIX_LAYOUT_ROWS, rows);
    read(CUBLASLT_MATRIX_LAYOUT_COLS, cols);
    read(CUBLASLT_MATRIX_LAYOUT_LD, stride);
    CHECK(stride >= static_cast<std::int64_t>(rows));
  }
  std::size_t at(std::uint64_t i, std::uint64_t j) const { return i + j * static_cast<std::uint64_t>(stride); }
  float get(const void* data, std::uint64_t i, std::uint64_t j) const {
    REQUIRE(i < rows);
    REQUIRE(j < cols);
    if (type == CUDA_R_32F) return static_cast<const float*>(data)[at(i, j)];
    if (type == CUDA_R_16F) return cuda::widened(static_cast<const f16*>(data)[at(i, j)]);
    return cuda::widened(static_cast<const bf16*>(data)[at(i, j)]);
  }
  void set(void* data, std::uint64_t i, std::uint64_t j, float value) const {
    if (type == CUDA_R_32F)
      static_cast<float*>(data)[at(i, j)] = value;
    else if (type == CUDA_R_16F)
      static_cast<f16*>(data)[at(i, j)] = cuda::rounded<f16>(value);
    else
      static_cast<bf16*>(data)[at(i, j)] = cuda::rounded<bf16>(value);
  }
};

template <class Value>
Value attribute(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t which) {
  Value value{};
  std::size_t written = 0;
  REQUIRE(cublasLtMatmulDescGetAttribute(operation, which, &value, sizeof value, &written) == CUBLAS_STATUS_SUCCESS);
  return value;
}
inline bool is_transposed(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t which) {
  return attribute<std::int32_t>(operation, which) == CUBLAS_OP_T;
}

}  // namespace embedpool::test

extern "C" {
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int, cublasLtMatmulHeuristicResult_t* results,
                                              int* found) {
  results[0].state = CUBLAS_STATUS_SUCCESS;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha, const void* left,
                              cublasLtMatrixLayout_t left_layout, const void* right,
                              cublasLtMatrixLayout_t right_layout, const void* beta, const void* before,
                              cublasLtMatrixLayout_t before_layout, void* out, cublasLtMatrixLayout_t out_layout,
                              const cublasLtMatmulAlgo_t*, void* workspace, std::size_t, cudaStream_t) {
  using embedpool::test::is_transposed, embedpool::test::Layout;
  const Layout a(left_layout), b(right_layout), c(before_layout), d(out_layout);
  const bool ta = is_transposed(operation, CUBLASLT_MATMUL_DESC_TRANSA);
  const bool tb = is_transposed(operation, CUBLASLT_MATMUL_DESC_TRANSB);
  const std::uint64_t inner = ta ? a.rows : a.cols;
  REQUIRE(inner == (tb ? b.cols : b.rows));
  REQUIRE(d.rows == (ta ? a.cols : a.rows));
  REQUIRE(d.cols == (tb ? b.rows : b.cols));
  REQUIRE(workspace != nullptr);
  const void* bias = nullptr;  // a vector of the output's type, as long as a column of it
  if (embedpool::test::attribute<cublasLtEpilogue_t>(operation, CUBLASLT_MATMUL_DESC_EPILOGUE) == CUBLASLT_EPILOGUE_BIAS) {
    bias = embedpool::test::attribute<const void*>(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
    REQUIRE(embedpool::test::attribute<std::uint32_t>(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE) == d.type);
  }
  for (std::uint64_t i = 0; i < d.rows; ++i)
    for (std::uint64_t j = 0; j < d.cols; ++j) {
      float sum = 0;
      for (std::uint64_t k = 0; k < inner; ++k)
        sum += (ta ? a.get(left, k, i) : a.get(left, i, k)) * (tb ? b.get(right, j, k) : b.get(right, k, j));
      sum *= *static_cast<const float*>(alpha);
      if (bias) sum += d.get(bias, i, 0);
      const float factor = *static_cast<const float*>(beta);
      d.set(out, i, j, factor != 0 ? sum + factor * c.get(before, i, j) : sum);
    }
  return CUBLAS_STATUS_SUCCESS;
}
}
