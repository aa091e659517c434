#pragma once
#include "embedpool/kernels/activation.hpp"
#include "embedpool/kernels/norm.hpp"

namespace embedpool {

namespace simd {

/// Calls f(i, like) for the whole registers of a row with `like` a register, then for each value left with a value.
template <Real S, class F>
[[gnu::always_inline]] inline void for_each_register(Index count, const F& f) noexcept {
  Index i = 0;
  for (; i + lanes<S> <= count; i += lanes<S>) f(i, Vector<S>(S(0)));
  for (; i < count; ++i) f(i, S(0));
}

template <Real S>
[[gnu::always_inline]] inline Vector<S> load(const S* from, const Vector<S>&) noexcept {
  return Vector<S>::load_unaligned(from);
}
template <Real S>
[[gnu::always_inline]] inline S load(const S* from, S) noexcept {
  return *from;
}
template <Real S>
[[gnu::always_inline]] inline void store(S* to, const Vector<S>& value) noexcept {
  value.store_unaligned(to);
}
template <Real S>
[[gnu::always_inline]] inline void store(S* to, S value) noexcept {
  *to = value;
}

}  // namespace simd

/// out = act(gate) .* up, with the bits that gemm_nt_gated gives.
///
/// Shapes  all [N, F]
template <class Activation, Real S, Executor E>
void gated_product(Rows<const S> gate, Rows<const S> up, Rows<S> out, E& executor) {
  for_each_row(gate.rows, executor, [&](Index i) {
    const S *g = gate.row_data(i), *u = up.row_data(i);
    S* o = out.row_data(i);
    simd::for_each_register<S>(gate.cols, [&](Index j, const auto& like) {
      simd::store(o + j, Activation::value(simd::load(g + j, like)) * simd::load(u + j, like));
    });
  });
}

/// The way back through gated_product, in place: gate becomes dgate = dout .* up .* act'(gate), up becomes
/// dup = dout .* act(gate).
///
/// Shapes  all [N, F]
template <class Activation, Real S, Executor E>
void gated_product_backward(Rows<S> gate, Rows<S> up, Rows<const S> dout, E& executor) {
  for_each_row(gate.rows, executor, [&](Index i) {
    S *g = gate.row_data(i), *u = up.row_data(i);
    const S* d = dout.row_data(i);
    simd::for_each_register<S>(gate.cols, [&](Index j, const auto& like) {
      const auto x = simd::load(static_cast<const S*>(g + j), like), y = simd::load(static_cast<const S*>(u + j), like);
      const auto dz = simd::load(d + j, like);
      simd::store(g + j, dz * y * Activation::derivative(x));
      simd::store(u + j, dz * Activation::value(x));
    });
  });
}

}  // namespace embedpool
