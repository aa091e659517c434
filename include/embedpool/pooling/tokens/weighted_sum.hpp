#pragma once
#include <algorithm>
#include <array>
#include <concepts>

#include "embedpool/core/layer_states.hpp"
#include "embedpool/pooling/tokens/one_key.hpp"

namespace embedpool {

/// A reader that is a weighted sum, key = sum_t weight(t) h_t / divisor(n) over all n tokens that it is shown, and says
/// so: then a device may sum in an order of its own instead of calling `read`. WeightedSum names the reader itself, so
/// that one that derives from it and reads something else is not taken for it.
template <class Reader>
concept WeightedSumReader = std::same_as<typename Reader::WeightedSum, Reader> && requires(Index i) {
  { Reader::weight(i) } -> std::same_as<double>;
  { Reader::divisor(i) } -> std::same_as<double>;
};

/// out = sum_t weight(t) h_t / divisor, t over every token of the text, first to last.
///
/// Summed in double and rounded once, in token order for each value, so the result depends on the text alone. The
/// width is walked in blocks that stay in registers; the inner loops have a fixed length and vectorise.
template <Element T, Real S, class Weight>
constexpr void weighted_sum(const TextStates<T>& states, const Weight& weight, double divisor,
                            std::span<S> out) noexcept {
  constexpr Index block = 32;
  const Index tokens = states.shape().tokens;
  const Index width = static_cast<Index>(out.size());
  if (width == 1) {  // what a thread of a GPU sees: one sum in a register, no block
    double sum = 0;
    for (Index t = 0; t < tokens; ++t) sum += weight(t) * to_real<double>(states.row(t).front());
    out.front() = static_cast<S>(sum / divisor);
    return;
  }
  for (Index first = 0; first < width; first += block) {
    std::array<double, block> sum{};
    if (const Index count = std::min(block, width - first); count == block) {
      for (Index t = 0; t < tokens; ++t) {
        const T* h = states.row(t).data() + first;
        const double w = weight(t);
        std::array<double, block> x;  // apart, else GCC jams two tokens into one loop and keeps no register
        for (std::size_t j = 0; j < block; ++j) x[j] = to_real<double>(h[j]);
        for (std::size_t j = 0; j < block; ++j) sum[j] += w * x[j];
      }
    } else {
      for (Index t = 0; t < tokens; ++t) {
        const T* h = states.row(t).data() + first;
        const double w = weight(t);
        for (Index j = 0; j < count; ++j) sum[static_cast<std::size_t>(j)] += w * to_real<double>(h[j]);
      }
    }
    for (Index j = 0; j < std::min(block, width - first); ++j)
      out[static_cast<std::size_t>(first + j)] = static_cast<S>(sum[static_cast<std::size_t>(j)] / divisor);
  }
}

/// dh_t += weight(t) / divisor de for every token t of the text.
template <Element T, Real S, class Weight>
constexpr void weighted_sum_backward(const TextStates<T>& states, const Weight& weight, double divisor,
                                     std::span<const S> de, Rows<S> dstates) noexcept {
  for (Index t = 0; t < states.shape().tokens; ++t) {
    const S w = static_cast<S>(weight(t) / divisor);
    S* dh = dstates.row_data(t - states.held().begin);
    for (std::size_t j = 0; j < de.size(); ++j) dh[j] += w * de[j];
  }
}

/// What readers have in common that are a weighted sum: one derives from it as WeightedSumOf<Itself>, and says weight(t)
/// and divisor(n).
///
///   key = sum_t weight(t) h_t / divisor(n)          dh_t += weight(t) / divisor(n) dkey
template <class Reader>
struct WeightedSumOf : OneKey {
  using WeightedSum = Reader;

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    weighted_sum(states, Reader::weight, Reader::divisor(states.shape().tokens), out.row(0));
  }
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    weighted_sum_backward(states, Reader::weight, Reader::divisor(states.shape().tokens), dout.row(0), dstates);
  }
};

}  // namespace embedpool
