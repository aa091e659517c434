#pragma once
#include <algorithm>
#include <cmath>

#include "embedpool/pooling/tokens/one_key.hpp"
#include "embedpool/pooling/tokens/weighted_sum.hpp"

namespace embedpool {

/// The mean of the directions of the token states: a token with a massive activation counts as much as any other.
///
///   key = 1/n sum_t u_t        u_t = h_t / max(|h_t|, 1e-12)
///
/// Shapes  h [n, D] -> key [1, D]
/// Cost    one more pass over the states than TokenMean; backward needs the states as forward saw them
struct UnitTokenMean : OneKey {
  static constexpr bool reads_whole_rows = true;
  static constexpr double shortest = 1e-12;

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    S* key = out.row_data(0);
    std::fill_n(key, out.cols, S(0));
    const double n = static_cast<double>(states.shape().tokens);
    for (Index t = 0; t < states.shape().tokens; ++t) {
      const T* h = states.row(t).data();
      const double scale = 1.0 / (n * not_too_short(norm(states.row(t))));
      for (Index j = 0; j < out.cols; ++j) key[j] += static_cast<S>(scale * to_real<double>(h[j]));
    }
  }

  /// dh_t += (dkey - u_t (u_t . dkey)) / (n |h_t|)
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    const double n = static_cast<double>(states.shape().tokens);
    const S* dkey = dout.row_data(0);
    for (Index t = 0; t < states.shape().tokens; ++t) {
      const T* h = states.row(t).data();
      S* dh = dstates.row_data(t - states.held().begin);
      const double length = norm(states.row(t));
      // Below the shortest length u is linear in h, and the second term is not there.
      double dot = 0;
      for (Index j = 0; length > shortest && j < dout.cols; ++j)
        dot += to_real<double>(h[j]) / length * static_cast<double>(dkey[j]);
      const double divisor = not_too_short(length);
      for (Index j = 0; j < dout.cols; ++j)
        dh[j] += static_cast<S>((static_cast<double>(dkey[j]) - to_real<double>(h[j]) / divisor * dot) / (n * divisor));
    }
  }

 private:
  // std::max takes references, and the address of a constant of the host is not there on a GPU.
  static constexpr double not_too_short(double length) noexcept {
    const double least = shortest;
    return std::max(length, least);
  }
  template <Element T>
  static constexpr double norm(std::span<const T> h) noexcept {
    double sum = 0;
    for (const T x : h) sum += to_real<double>(x) * to_real<double>(x);
    return std::sqrt(sum);
  }
};

static_assert(TokensPolicy<UnitTokenMean, float> && TokensPolicy<UnitTokenMean, double>);

}  // namespace embedpool
