#pragma once
#include <algorithm>
#include <vector>

#include "embedpool/kernels/dequantize.hpp"

namespace embedpool::scalar {

/// The definition: C[i][n] = sum over k of A[i][k] W[n][k].
template <Real S>
void gemm_nt(Rows<const S> a, const WeightView& w, Rows<S> c) {
  std::vector<S> row(static_cast<std::size_t>(w.cols));
  for (Index n = 0; n < w.rows; ++n) {
    decode_row(w, n, row.data());
    for (Index i = 0; i < a.rows; ++i) {
      S sum = 0;
      for (Index k = 0; k < w.cols; ++k) sum += a(i, k) * row[static_cast<std::size_t>(k)];
      c(i, n) = sum;
    }
  }
}

/// The definition: out[i][n] = act(sum over k of A[i][k] gate[n][k]) (sum over k of A[i][k] up[n][k]).
template <class Activation, Real S>
void gemm_nt_gated(Rows<const S> a, const WeightView& gate, const WeightView& up, Rows<S> out) {
  std::vector<S> of_up(static_cast<std::size_t>(a.rows * up.rows));
  const Rows<S> factor(of_up.data(), a.rows, up.rows);
  gemm_nt(a, up, factor);
  gemm_nt(a, gate, out);
  for (Index i = 0; i < a.rows; ++i)
    for (Index n = 0; n < gate.rows; ++n) out(i, n) = Activation::value(out(i, n)) * factor(i, n);
}

/// The definition: C[i][k] = sum over n of A[i][n] W[n][k].
template <Real S>
void gemm_nn(Rows<const S> a, const WeightView& w, Rows<S> c) {
  std::vector<S> row(static_cast<std::size_t>(w.cols));
  for (Index i = 0; i < a.rows; ++i) std::fill_n(c.row_data(i), w.cols, S(0));
  for (Index n = 0; n < w.rows; ++n) {
    decode_row(w, n, row.data());
    for (Index i = 0; i < a.rows; ++i)
      for (Index k = 0; k < w.cols; ++k) c(i, k) += a(i, n) * row[static_cast<std::size_t>(k)];
  }
}

}  // namespace embedpool::scalar
