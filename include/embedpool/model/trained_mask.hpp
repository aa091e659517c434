#pragma once
#include <concepts>
#include <utility>

#include "embedpool/attention/mask.hpp"

namespace embedpool {

/// Calls f(mask) with the mask that `mask` means for a model trained with a causal window (0: none).
///
/// `Causal` means "as the model was trained", so under it a window W applies: CausalWindow{W}, 0 <= i - j < W. Every
/// other mask is what its author wrote and stays as it is; in particular `Bidirectional` has no window. Whoever wants
/// plain j <= i on such a model calls Decoder::forward, or CausalWindow with a window as long as the texts.
template <MaskPolicy M, class F>
decltype(auto) with_trained_window(const M& mask, Index window, F&& f) {
  if constexpr (std::same_as<M, Causal>)
    if (window > 0) return std::forward<F>(f)(CausalWindow{window});
  return std::forward<F>(f)(mask);
}

}  // namespace embedpool
