#pragma once
#include "embedpool/pooling/tokens/one_key.hpp"

namespace embedpool {

/// The state of the last token: the only one that has seen the whole text under a causal mask.
///
///   key = h_{n-1}        n = tokens of the text
///
/// Shapes  h [n, D] -> key [1, D]
/// Source  arXiv 2409.02727, "EOS-last token pooling"; mode `lasttoken` of sentence-transformers
struct LastToken : OneKey {
  constexpr Interval reads(const TextShape& shape) const noexcept { return {shape.tokens - 1, shape.tokens}; }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    copy_row(states.row(states.shape().tokens - 1), out.row(0));
  }

  /// dh_{n-1} += dkey
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    add_row(dout.row(0), dstates.row(states.shape().tokens - 1 - states.held().begin));
  }
};

static_assert(TokensPolicy<LastToken, float> && TokensPolicy<LastToken, double>);

}  // namespace embedpool
