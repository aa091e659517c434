#pragma once
#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// What readers have in common that turn all tokens of a text into one key. A reader derives from it and adds `read`
/// and `backward`; one that looks at fewer tokens also says its own `reads`.
struct OneKey {
  constexpr void check(const TextShape&) const noexcept {}
  constexpr Index slots() const noexcept { return 1; }
  constexpr Index keys(const TextShape&) const noexcept { return 1; }
  constexpr Index slot(Index, const TextShape&) const noexcept { return 0; }
  constexpr Interval reads(const TextShape& shape) const noexcept { return {0, shape.tokens}; }
};

/// Whether value j of a key depends on more than value j of the states: a reader that looks at whole rows says so with
/// `static constexpr bool reads_whole_rows = true`. Others may be shown some columns of the states at a time, which is
/// how threads of a GPU share the work.
template <class Tokens>
constexpr bool reads_whole_rows() noexcept {
  if constexpr (requires { Tokens::reads_whole_rows; })
    return Tokens::reads_whole_rows;
  else
    return false;
}

/// out = h, widened or rounded to S.
template <Element T, Real S>
constexpr void copy_row(std::span<const T> h, std::span<S> out) noexcept {
  for (std::size_t j = 0; j < out.size(); ++j) out[j] = to_real<S>(h[j]);
}

/// dh += de
template <Real S>
constexpr void add_row(std::span<const S> de, std::span<S> dh) noexcept {
  for (std::size_t j = 0; j < de.size(); ++j) dh[j] += de[j];
}

}  // namespace embedpool
