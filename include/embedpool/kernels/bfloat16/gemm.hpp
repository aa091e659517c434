#pragma once
#include "embedpool/core/thread_scratch.hpp"
#include "embedpool/kernels/bfloat16/pack_pairs.hpp"
#include "embedpool/kernels/gemm.hpp"

namespace embedpool {

namespace scalar {

/// The definition of one inner product in bfloat16: both sides rounded, products summed in float, k in pairs and the
/// second of each pair first.
inline float bfloat16_dot(std::span<const float> a, std::span<const float> b) noexcept {
  const auto product = [&](std::size_t k) {
    return k < a.size() ? to_float(round_to_bf16(a[k])) * to_float(round_to_bf16(b[k])) : 0.0f;
  };
  float sum = 0;
  for (std::size_t k = 0; k < a.size(); k += 2) {
    sum += product(k + 1);
    sum += product(k);
  }
  return sum;
}

/// The definition: C[i][n] = bfloat16_dot of row i of A and row n of W.
inline void bfloat16_gemm_nt(Rows<const float> a, const WeightView& w, Rows<float> c) {
  std::vector<float> row(static_cast<std::size_t>(w.cols));
  for (Index n = 0; n < w.rows; ++n) {
    decode_row(w, n, row.data());
    for (Index i = 0; i < a.rows; ++i) c(i, n) = bfloat16_dot(a.row(i), row);
  }
}

}  // namespace scalar

/// C = epilogue(A W^T) in bfloat16: both sides rounded to it, products summed in float. Half the instructions of a
/// product in float where the machine has vdpbf16ps (__AVX512BF16__); elsewhere the same result, without the speed.
///
/// Shapes  a [M, K], or [M, (K + 1) / 2] pairs from round_rows; w [N, K] in any format; the epilogue (StoreTo,
///         StoreBias, AddTo) holds C [M, N], which must not overlap a
/// Order   each element is one chain of sums, k in rising pairs and the second of each pair first: bit-identical for
///         any M, position and executor. OperandTraits<Bfloat16Pair> says in what machines may differ
/// Error   of each operand up to 2^-9 of itself: one of the sum up to 2^-8 of the sum of |a_k w_k|
template <class Epilogue, Executor E>
void bfloat16_gemm_nt(Rows<const Bfloat16Pair> a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == simd::operand_count<Bfloat16Pair>(w.cols));
  simd::gemm_panels(a, simd::MatrixPanels<Bfloat16Pair>{w}, w.rows, epilogue, executor);
}
template <class Epilogue, Executor E>
void bfloat16_gemm_nt(Rows<const Bfloat16Pair> a, const PackedWeight<Bfloat16Pair>& w, const Epilogue& epilogue,
                      E& executor) {
  assert(a.cols == simd::operand_count<Bfloat16Pair>(w.cols()));
  simd::gemm_panels(a, w.panels(), w.rows(), epilogue, executor);
}

/// out = act(A Wg^T) .* (A Wu^T): as gemm_nt_gated, with both products as in bfloat16_gemm_nt; activation and product
/// in float.
///
/// Shapes  a as in bfloat16_gemm_nt, gate and up [N, K], out [M, N]
template <class Activation, Executor E>
void bfloat16_gemm_nt_gated(Rows<const Bfloat16Pair> a, const WeightView& gate, const WeightView& up, Rows<float> out,
                            E& executor) {
  assert(a.cols == simd::operand_count<Bfloat16Pair>(gate.cols) && gate.cols == up.cols && gate.rows == up.rows);
  simd::gemm_panels(a, simd::GatedPanels<Bfloat16Pair>{gate, up}, gate.rows, StoreGated<Activation, float>{out},
                    executor);
}
template <class Activation, Executor E>
void bfloat16_gemm_nt_gated(Rows<const Bfloat16Pair> a, const PackedGatedWeight<Bfloat16Pair>& w, Rows<float> out,
                            E& executor) {
  assert(a.cols == simd::operand_count<Bfloat16Pair>(w.cols()));
  simd::gemm_panels(a, w.panels(), w.rows(), StoreGated<Activation, float>{out}, executor);
}

/// Rows rounded to pairs, in scratch of the thread that made them: one rounding for several products of the same input.
struct RoundedRows {
  ThreadScratch<AlignedBuffer<Bfloat16Pair>> memory;
  Rows<const Bfloat16Pair> rows;
};

/// Shapes  a [M, K] -> [M, (K + 1) / 2]
template <Executor E>
RoundedRows rounded_rows(Rows<const float> a, E& executor) {
  ThreadScratch<AlignedBuffer<Bfloat16Pair>> memory;
  const Rows<Bfloat16Pair> pairs = memory->rows(a.rows, simd::operand_count<Bfloat16Pair>(a.cols));
  round_rows(a, pairs, executor);
  return {std::move(memory), pairs};
}

/// As above, on rows that are rounded first.
template <class Weight, class Epilogue, Executor E>
void bfloat16_gemm_nt(Rows<const float> a, const Weight& w, const Epilogue& epilogue, E& executor) {
  bfloat16_gemm_nt(rounded_rows(a, executor).rows, w, epilogue, executor);
}
template <class Activation, Executor E>
void bfloat16_gemm_nt_gated(Rows<const float> a, const WeightView& gate, const WeightView& up, Rows<float> out,
                            E& executor) {
  bfloat16_gemm_nt_gated<Activation>(rounded_rows(a, executor).rows, gate, up, out, executor);
}
template <class Activation, Executor E>
void bfloat16_gemm_nt_gated(Rows<const float> a, const PackedGatedWeight<Bfloat16Pair>& w, Rows<float> out,
                            E& executor) {
  bfloat16_gemm_nt_gated<Activation>(rounded_rows(a, executor).rows, w, out, executor);
}

}  // namespace embedpool
