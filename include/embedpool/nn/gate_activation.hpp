#pragma once
#include <utility>

#include "embedpool/kernels/activation.hpp"

namespace embedpool {

/// The activation on the gate of a gated feed-forward: x sigmoid(x), or GELU by its tanh approximation or exact.
enum class GateActivation { silu, gelu_tanh, gelu_erf };

/// Calls `f.template operator()<A>()` with the kernel functor of `kind`, so that the choice is made once a call and the
/// kernels see a type.
template <class F>
decltype(auto) with_activation(GateActivation kind, F&& f) {
  switch (kind) {
    case GateActivation::gelu_tanh: return std::forward<F>(f).template operator()<GeluTanh>();
    case GateActivation::gelu_erf: return std::forward<F>(f).template operator()<GeluErf>();
    case GateActivation::silu: break;
  }
  return std::forward<F>(f).template operator()<Silu>();
}

}  // namespace embedpool
