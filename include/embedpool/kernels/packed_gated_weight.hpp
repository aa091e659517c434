#pragma once
#include "embedpool/kernels/packed_panels.hpp"

namespace embedpool {

/// The gate and up matrices of a gated feed-forward, packed side by side as gemm_nt_gated wants them.
template <simd::Operand T>
class PackedGatedWeight {
 public:
  PackedGatedWeight() = default;
  template <Executor E>
  PackedGatedWeight(const WeightView& gate, const WeightView& up, E& executor)
      : panels_(simd::GatedPanels<T>{gate, up}, executor), rows_(gate.rows), cols_(gate.cols) {}
  Index rows() const noexcept { return rows_; }
  Index cols() const noexcept { return cols_; }
  const simd::PackedPanels<T>& panels() const noexcept { return panels_; }

 private:
  simd::PackedPanels<T> panels_;
  Index rows_ = 0;
  Index cols_ = 0;
};

}  // namespace embedpool
