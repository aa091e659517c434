#pragma once
#include <cstring>

#include "embedpool/core/matrix.hpp"
#include "embedpool/core/serial_products.hpp"
#include "embedpool/kernels/dequantize.hpp"

namespace embedpool {

/// A low-rank change of a linear map: W becomes W + scale B A.
///
/// Shapes  A [r, in], B [out, r]
/// Source  arXiv 2106.09685; scale = alpha / r, or alpha / sqrt(r) (rank-stabilised, arXiv 2312.03732)
template <Real S>
struct LoraPair {
  Matrix<S> a{};
  Matrix<S> b{};
  S scale = S(1);
};

/// W + scale B A as a matrix of S, W decoded from its storage format.
///
/// Requires  A [r, W.cols], B [W.rows, r]
template <Real S>
Matrix<S> merged_weight(const WeightView& w, const LoraPair<S>& lora) {
  const SerialProducts same_bits_for_any_threads;
  Matrix<S> merged = lora.scale * (lora.b * lora.a);
  RowVector<S> row(w.cols);
  for (Index n = 0; n < w.rows; ++n) {
    decode_row(w, n, row.data());
    merged.row(n) += row;
  }
  return merged;
}

}  // namespace embedpool
