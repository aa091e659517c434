#pragma once
#include "embedpool/pooling/tokens/one_key.hpp"

namespace embedpool {

/// Every token state is a key of its own: what attention heads read.
///
///   key_t = h_t
///
/// Shapes  h [n, D] -> keys [n, D], all of the same kind
struct AllTokens : OneKey {
  constexpr Index keys(const TextShape& shape) const noexcept { return shape.tokens; }

  /// The keys are the rows of reads(shape) unchanged, so that a pooling may hand them to its head without a copy.
  constexpr bool keys_are_rows() const noexcept { return true; }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    for (Index t = 0; t < out.rows; ++t) copy_row(states.row(t), out.row(t));
  }

  /// dh_t += dkey_t
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    for (Index t = 0; t < dout.rows; ++t) add_row(dout.row(t), dstates.row(t - states.held().begin));
  }
};

/// Whether the keys of a reader are token rows unchanged, in order. A reader says so with keys_are_rows().
template <class Tokens>
constexpr bool keys_are_rows(const Tokens& tokens) noexcept {
  if constexpr (requires { tokens.keys_are_rows(); })
    return tokens.keys_are_rows();
  else
    return false;
}

static_assert(TokensPolicy<AllTokens, float> && TokensPolicy<AllTokens, double>);

}  // namespace embedpool
