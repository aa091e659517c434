#pragma once
#include <utility>

#include "embedpool/pooling/tokens/one_key.hpp"

namespace embedpool {

/// Two readers in one pass: the keys of A, then those of B, each of kinds of their own. Nests for more than two.
///
///   Both<LastToken, PromptExcluded<TokenMean>>: the last token, and the mean over the text's own tokens
///
/// Shapes  h [n, D] -> keys [a.keys + b.keys, D]
template <class A, class B>
struct Both {
  static constexpr bool reads_whole_rows = embedpool::reads_whole_rows<A>() || embedpool::reads_whole_rows<B>();
  A a{};
  B b{};

  void check(const TextShape& shape) const {
    a.check(shape);
    b.check(shape);
  }
  constexpr Index slots() const noexcept { return a.slots() + b.slots(); }
  constexpr Index keys(const TextShape& shape) const noexcept { return a.keys(shape) + b.keys(shape); }
  constexpr Index slot(Index k, const TextShape& shape) const noexcept {
    const Index first = a.keys(shape);
    return k < first ? a.slot(k, shape) : a.slots() + b.slot(k - first, shape);
  }
  constexpr Interval reads(const TextShape& shape) const noexcept { return hull(a.reads(shape), b.reads(shape)); }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const {
    const Index first = a.keys(states.shape());
    a.read(states, out.middle_rows(0, first));
    b.read(states, out.middle_rows(first, out.rows - first));
  }
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const {
    const Index first = a.keys(states.shape());
    a.backward(states, dout.middle_rows(0, first), dstates);
    b.backward(states, dout.middle_rows(first, dout.rows - first), dstates);
  }
};
template <class A, class B>
Both(A, B) -> Both<A, B>;

}  // namespace embedpool
