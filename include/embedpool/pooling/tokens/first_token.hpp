#pragma once
#include "embedpool/pooling/tokens/one_key.hpp"

namespace embedpool {

/// The state of the first token, [CLS] in encoders of the BERT family.
///
///   key = h_0
///
/// Shapes  h [n, D] -> key [1, D]
/// Source  mode `cls` of sentence-transformers. Under a causal mask the first token has seen nothing of the text
struct FirstToken : OneKey {
  constexpr Interval reads(const TextShape&) const noexcept { return {0, 1}; }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    copy_row(states.row(0), out.row(0));
  }

  /// dh_0 += dkey
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    add_row(dout.row(0), dstates.row(-states.held().begin));
  }
};

static_assert(TokensPolicy<FirstToken, float> && TokensPolicy<FirstToken, double>);

}  // namespace embedpool
