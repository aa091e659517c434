#pragma once
#include <algorithm>
#include <bit>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "embedpool/cuda/check.cuh"
#include "embedpool/cuda/device.hpp"
#include "embedpool/cuda/device_buffer.hpp"

namespace embedpool::cuda {

/// Type of a value, in cuBLAS' terms.
template <DeviceElement T>
inline constexpr cudaDataType_t data_type = std::same_as<T, float> ? CUDA_R_32F
                                            : std::same_as<T, f16> ? CUDA_R_16F
                                                                   : CUDA_R_16BF;

/// What cuBLASLt chooses an algorithm by: all of a Product but its values.
struct ProductShape {
  cudaDataType_t in_type, out_type;
  bool left_transposed, right_transposed, biased;
  Index rows, cols, inner;  ///< M, N, K
  Index left_stride, right_stride, out_stride;
  Index left_alignment, right_alignment, out_alignment;  ///< bytes; of the output and the bias together

  auto operator<=>(const ProductShape&) const = default;

  /// "multiply bf16 [M, K] x [N, K]^T to f32"
  std::string text() const {
    const auto side = [](Index m, Index n, bool transposed) {
      return "[" + std::to_string(transposed ? n : m) + ", " + std::to_string(transposed ? m : n) + "]" +
             (transposed ? "^T" : "");
    };
    const auto name = [](cudaDataType_t type) {
      return type == CUDA_R_32F ? "f32" : type == CUDA_R_16F ? "f16" : "bf16";
    };
    return std::string("multiply ") + name(in_type) + " " + side(rows, inner, left_transposed) + " x " +
           side(inner, cols, right_transposed) + (biased ? " + bias" : "") + " to " + name(out_type);
  }
};

/// The shape of a product whose sides fit each other.
/// Errors  ShapeError
template <DeviceElement T, DeviceElement U>
ProductShape shape_of(const Product<T, U>& p) {
  const Index rows = p.left_transposed ? p.left.cols : p.left.rows;
  const Index inner = p.left_transposed ? p.left.rows : p.left.cols;
  require_equal("multiply", "rows of the left side", rows, p.out.rows);
  require_equal("multiply", "rows of the right side", p.right_transposed ? p.right.cols : p.right.rows, inner);
  require_equal("multiply", "columns of the right side", p.right_transposed ? p.right.rows : p.right.cols, p.out.cols);
  if (p.bias) require_in("multiply", "inner dimension of a product with a bias", inner, 1, Index(1) << 40);
  // A single row has any stride; cuBLASLt wants one that holds the row.
  const auto stride = [](const auto& side) { return std::max(side.rows > 1 ? side.stride : side.cols, Index{1}); };
  const auto alignment = [](const void* data) {  // the most that the address shows, up to 256; null is at any
    return Index{1} << std::min(std::countr_zero(reinterpret_cast<std::uintptr_t>(data)), 8);
  };
  return {.in_type = data_type<T>,
          .out_type = data_type<U>,
          .left_transposed = p.left_transposed,
          .right_transposed = p.right_transposed,
          .biased = p.bias != nullptr,
          .rows = rows,
          .cols = p.out.cols,
          .inner = inner,
          .left_stride = stride(p.left),
          .right_stride = stride(p.right),
          .out_stride = stride(p.out),
          .left_alignment = alignment(p.left.data),
          .right_alignment = alignment(p.right.data),
          .out_alignment = std::min(alignment(p.out.data), alignment(p.bias))};
}

/// Matrix products by cuBLASLt, which remembers for each shape what its heuristic chose.
///
/// Sums are of float, also those of parts of the inner dimension; float values are multiplied as they are (no TF32).
/// The same shape gives the same bits each time; another number of rows may get another algorithm, with other last
/// bits.
class MatrixProducts {
 public:
  /// Enqueues a product of `shape`, in which nothing is 0, on the device's stream.
  /// Errors  CudaError that names the shape, for what cuBLASLt refuses
  template <Device D, DeviceElement T, DeviceElement U>
  void multiply(D& device, const ProductShape& shape, const Product<T, U>& p) {
    static_assert(std::same_as<T, U> || std::same_as<U, float>);
    if (!handle_) handle_ = make_handle();
    std::byte* const workspace = workspace_.reserve(device, workspace_bytes);
    Plan& plan = plan_of(shape, p.bias);
    if (shape.biased) set_bias(plan, shape, p.bias);
    // A row-major matrix is a column-major one transposed: out^T = op(right)^T op(left)^T.
    refuse(cublasLtMatmul(handle_.get(), &plan.operation, &p.alpha, p.right.data, &plan.right, p.left.data, &plan.left,
                          &p.beta, p.out.data, &plan.out, p.out.data, &plan.out, &plan.algorithm, workspace,
                          workspace_bytes, device.stream()),
           shape, "cublasLtMatmul");
  }

 private:
  /// Descriptors are plain values.
  struct Plan {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t left, right, out;
    cublasLtMatmulAlgo_t algorithm;
  };
  struct DestroyHandle {
    void operator()(cublasLtHandle_t handle) const { cublasLtDestroy(handle); }
  };
  using Handle = std::unique_ptr<std::remove_pointer_t<cublasLtHandle_t>, DestroyHandle>;

  static constexpr Index workspace_bytes = Index{32} << 20;  // as NVIDIA advises for compute capability 9.0
  static constexpr std::size_t most_plans = 4096;            // then it begins anew: numbers of rows may never repeat

  static Handle make_handle() {
    cublasLtHandle_t handle = nullptr;
    check(cublasLtCreate(&handle), "cublasLtCreate");
    return Handle(handle);
  }
  static void refuse(cublasStatus_t status, const ProductShape& shape, const char* call) {
    if (status != CUBLAS_STATUS_SUCCESS) check(status, shape.text() + ": " + call);
  }

  Plan& plan_of(const ProductShape& shape, const void* bias) {
    if (const auto found = plans_.find(shape); found != plans_.end()) return found->second;
    if (plans_.size() >= most_plans) plans_.clear();
    return plans_.emplace(shape, make_plan(shape, bias)).first->second;
  }

  /// The same plan serves every bias of a shape. cuBLASLt takes values of the output's type, and adds them where the sums
  /// still are float; with beta != 0 it may round to the output's type before it adds them.
  static void set_bias(Plan& plan, const ProductShape& shape, const void* bias) {
    refuse(cublasLtMatmulDescSetAttribute(&plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias), shape,
           "cublasLtMatmulDescSetAttribute");
  }

  Plan make_plan(const ProductShape& shape, const void* bias) const {
    Plan plan{};
    const auto layout = [&](cublasLtMatrixLayoutOpaque_t& to, cudaDataType_t type, Index rows, Index cols,
                            Index stride) {
      refuse(cublasLtMatrixLayoutInit(&to, type, static_cast<std::uint64_t>(cols), static_cast<std::uint64_t>(rows),
                                      stride),
             shape, "cublasLtMatrixLayoutInit");
    };
    const bool l = shape.left_transposed, r = shape.right_transposed;
    layout(plan.left, shape.in_type, l ? shape.inner : shape.rows, l ? shape.rows : shape.inner, shape.left_stride);
    layout(plan.right, shape.in_type, r ? shape.cols : shape.inner, r ? shape.inner : shape.cols, shape.right_stride);
    layout(plan.out, shape.out_type, shape.rows, shape.cols, shape.out_stride);

    refuse(cublasLtMatmulDescInit(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), shape, "cublasLtMatmulDescInit");
    const auto describe = [&](cublasLtMatmulDescAttributes_t which, auto value) {
      refuse(cublasLtMatmulDescSetAttribute(&plan.operation, which, &value, sizeof value), shape,
             "cublasLtMatmulDescSetAttribute");
    };
    describe(CUBLASLT_MATMUL_DESC_TRANSA, r ? CUBLAS_OP_T : CUBLAS_OP_N);
    describe(CUBLASLT_MATMUL_DESC_TRANSB, l ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (shape.biased) {
      describe(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);  // a value for each row of out^T
      describe(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, shape.out_type);
      set_bias(plan, shape, bias);
    }

    cublasLtMatmulPreferenceOpaque_t preference;
    refuse(cublasLtMatmulPreferenceInit(&preference), shape, "cublasLtMatmulPreferenceInit");
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
      refuse(cublasLtMatmulPreferenceSetAttribute(&preference, which, &value, sizeof value), shape,
             "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(workspace_bytes));
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, static_cast<std::uint32_t>(shape.right_alignment));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<std::uint32_t>(shape.left_alignment));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<std::uint32_t>(shape.out_alignment));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<std::uint32_t>(shape.out_alignment));

    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    refuse(cublasLtMatmulAlgoGetHeuristic(handle_.get(), &plan.operation, &plan.right, &plan.left, &plan.out, &plan.out,
                                          &preference, 1, &best, &found),
           shape, "cublasLtMatmulAlgoGetHeuristic");
    refuse(found > 0 ? best.state : CUBLAS_STATUS_NOT_SUPPORTED, shape, "cublasLtMatmulAlgoGetHeuristic");
    plan.algorithm = best.algo;
    return plan;
  }

  Handle handle_;
  DeviceBuffer<std::byte> workspace_;
  std::map<ProductShape, Plan> plans_;
};

}  // namespace embedpool::cuda
