#pragma once
#include "embedpool/kernels/gemm.hpp"

namespace embedpool {

/// In which arithmetic a model's linear maps are computed; everything else stays in S.
///
/// Beyond the syntax a model promises that
///   - prepare(x) is what products read in place of x, shared by all maps of the same input; it can be moved, and may hold
///     scratch of the calling thread as long as it lives;
///   - product gives epilogue(x W^T), gated gives act(x Wg^T) .* (x Wu^T), as gemm_nt and gemm_nt_gated do in S;
///   - a row's result has the same bits in any batch, with any executor.
template <class C, class S>
concept ComputePolicy = std::copyable<C> && Real<S> &&
    requires(const C compute, Rows<const S> x, Rows<S> y, const WeightView& w, SerialExecutor executor) {
      compute.prepare(x, executor);
      compute.product(compute.prepare(x, executor), w, StoreTo<S>{y}, executor);
      compute.template gated<Silu>(compute.prepare(x, executor), w, w, y, executor);
    };

/// Products in S itself, the weights decoded to it: the reference, and the default.
struct FullPrecision {
  template <Real S, Executor E>
  Rows<const S> prepare(Rows<const S> x, E&) const noexcept {
    return x;
  }
  template <Real S, class Epilogue, Executor E>
  void product(Rows<const S> x, const WeightView& w, const Epilogue& epilogue, E& executor) const {
    gemm_nt(x, w, epilogue, executor);
  }
  template <class Activation, Real S, Executor E>
  void gated(Rows<const S> x, const WeightView& gate, const WeightView& up, Rows<S> y, E& executor) const {
    gemm_nt_gated<Activation>(x, gate, up, y, executor);
  }
};

static_assert(ComputePolicy<FullPrecision, float> && ComputePolicy<FullPrecision, double>);

}  // namespace embedpool
