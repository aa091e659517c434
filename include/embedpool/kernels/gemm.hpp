#pragma once
#include <cassert>
#include <span>
#include <vector>

#include "embedpool/kernels/gemm_panels.hpp"
#include "embedpool/kernels/gemm_reference.hpp"
#include "embedpool/kernels/packed_gated_weight.hpp"
#include "embedpool/kernels/packed_weight.hpp"

namespace embedpool {

/// A product of short sums that goes into another one: the second half of a LoRA pair.
template <Real S>
struct LowRankTerm {
  Rows<const S> a;
  WeightView w;
};

/// C = epilogue(A W^T): one linear layer, the weights used in their storage format.
///
/// Shapes  a [M, K], w [N, K]; the epilogue (StoreTo, StoreBias, AddTo) holds C [M, N], which must not overlap a
/// Order   each element is one chain of multiply-adds in rising k: bit-identical for any M, position and executor
template <Real S, class Epilogue, Executor E>
void gemm_nt(Rows<const S> a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == w.cols);
  simd::gemm_panels(a, simd::MatrixPanels<S>{w}, w.rows, epilogue, executor);
}

/// C = epilogue(A W^T + sum over terms of A' W'^T), the terms in order at the end of each element's chain.
///
/// Shapes  of a term: a [M, r], w [N, r]; r should be small, for its panels are made whole
template <Real S, class Epilogue, Executor E>
void gemm_nt(Rows<const S> a, const WeightView& w, std::span<const LowRankTerm<S>> terms, const Epilogue& epilogue,
             E& executor) {
  using Panels = simd::MatrixPanels<S>;
  std::vector<simd::FurtherProduct<S, Panels>> further;
  for (const LowRankTerm<S>& term : terms) further.push_back({term.a, Panels{term.w}});
  simd::gemm_panels(a, Panels{w}, w.rows, epilogue, executor, std::span<const simd::FurtherProduct<S, Panels>>(further));
}

template <Real S, class Epilogue, Executor E>
void gemm_nt(Rows<const S> a, const PackedWeight<S>& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == w.cols());
  simd::gemm_panels(a, w.panels(), w.rows(), epilogue, executor);
}

/// C = epilogue(A W): the way back through a linear layer, from the gradient of its output to that of its input.
///
/// Shapes  a [M, N], w [N, K]; the epilogue holds C [M, K], which must not overlap a
/// Order   as gemm_nt, in rising n
template <Real S, class Epilogue, Executor E>
void gemm_nn(Rows<const S> a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  assert(a.cols == w.rows);
  simd::gemm_panels(a, simd::ColumnPanels<S>{w}, w.cols, epilogue, executor);
}

/// C = epilogue(A W + sum over terms of A' W').
///
/// Shapes  of a term: a [M, r], w [r, K]
template <Real S, class Epilogue, Executor E>
void gemm_nn(Rows<const S> a, const WeightView& w, std::span<const LowRankTerm<S>> terms, const Epilogue& epilogue,
             E& executor) {
  using Panels = simd::ColumnPanels<S>;
  std::vector<simd::FurtherProduct<S, Panels>> further;
  for (const LowRankTerm<S>& term : terms) further.push_back({term.a, Panels{term.w}});
  simd::gemm_panels(a, Panels{w}, w.cols, epilogue, executor, std::span<const simd::FurtherProduct<S, Panels>>(further));
}

/// out = act(A Wg^T) .* (A Wu^T): the first two maps of a gated feed-forward in one pass.
///
/// Shapes  a [M, K], gate and up [N, K], out [M, N]
template <class Activation, Real S, Executor E>
void gemm_nt_gated(Rows<const S> a, const WeightView& gate, const WeightView& up, Rows<S> out, E& executor) {
  assert(a.cols == gate.cols && a.cols == up.cols && gate.rows == up.rows);
  simd::gemm_panels(a, simd::GatedPanels<S>{gate, up}, gate.rows, StoreGated<Activation, S>{out}, executor);
}
template <class Activation, Real S, Executor E>
void gemm_nt_gated(Rows<const S> a, const PackedGatedWeight<S>& w, Rows<S> out, E& executor) {
  assert(a.cols == w.cols());
  simd::gemm_panels(a, w.panels(), w.rows(), StoreGated<Activation, S>{out}, executor);
}

}  // namespace embedpool
