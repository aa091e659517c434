#pragma once
#include "embedpool/pooling/tokens/one_key.hpp"

namespace embedpool {

/// The largest value of each dimension over the tokens; NaN where there is one.
///
///   key_j = max_t h_tj
///
/// Shapes  h [n, D] -> key [1, D]
/// Cost    backward looks for the largest rows again, so it needs the layer's states as forward saw them
/// Source  mode `max` of sentence-transformers
struct TokenMax : OneKey {
  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    S* key = out.row_data(0);
    copy_row(states.row(0), out.row(0));
    for (Index t = 1; t < states.shape().tokens; ++t) {
      const T* h = states.row(t).data();
      for (Index j = 0; j < out.cols; ++j) {
        const S x = to_real<S>(h[j]);
        key[j] = x > key[j] || x != x ? x : key[j];
      }
    }
  }

  /// dh_tj += dkey_j for the row t that holds the largest value, the first of equal ones
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    for (Index j = 0; j < dout.cols; ++j) {
      const auto value = [&](Index t) { return to_real<S>(states.row(t)[static_cast<std::size_t>(j)]); };
      Index place = 0;
      S largest = value(0);
      for (Index t = 1; t < states.shape().tokens; ++t)
        if (const S x = value(t); x > largest) {
          largest = x;
          place = t;
        }
      dstates(place - states.held().begin, j) += dout(0, j);
    }
  }
};

static_assert(TokensPolicy<TokenMax, float> && TokensPolicy<TokenMax, double>);

}  // namespace embedpool
