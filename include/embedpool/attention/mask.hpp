#pragma once
#include <algorithm>
#include <concepts>

#include "embedpool/core/text_shape.hpp"

namespace embedpool {

/// A mask policy answers one question: which keys does query `i` of a text see?
///
/// Beyond the syntax below, a model promises for every shape that
///   - 0 <= begin <= i < end <= shape.tokens: a token sees at least itself;
///   - begin and end never fall as i grows, so the keys of a tile of queries are [keys(first).begin, keys(last).end);
///   - the answer depends on i and the shape alone.
/// So no [n, n] matrix is ever built, and whole tiles outside the interval are skipped. A user's mask is ten lines.
template <class M>
concept MaskPolicy = std::copyable<M> && requires(const M mask, Index query, const TextShape& shape) {
  { mask.keys(query, shape) } noexcept -> std::same_as<Interval>;
};

/// A token sees itself and what came before: j <= i.
struct Causal {
  constexpr Interval keys(Index query, const TextShape&) const noexcept { return {0, query + 1}; }
};

/// A token sees every token of its text.
struct Bidirectional {
  constexpr Interval keys(Index, const TextShape& shape) const noexcept { return {0, shape.tokens}; }
};

/// Whether a window of W counts the distance W itself. Sources disagree, see SlidingWindow.
enum class WindowEdge { exclusive, inclusive };

/// A token sees what is near: causal 0 <= i - j < W, bidirectional |i - j| < W; with an inclusive edge <= W.
///
/// Requires  window >= 1
/// Source    Today's Hugging Face code uses i - j < W for causal windows and |i - j| <= W for bidirectional ones;
///           transformers 4.40 with FlashAttention-2, as the released code of arXiv 2409.02727 runs it, used <= W for
///           both. Hence the four names below.
template <bool causal, WindowEdge edge>
struct SlidingWindow {
  Index window = 1;

  constexpr Interval keys(Index query, const TextShape& shape) const noexcept {
    const Index reach = edge == WindowEdge::inclusive ? window : window - 1;
    return {std::max<Index>(0, query - reach),
            causal ? query + 1 : std::min(shape.tokens, query + reach + 1)};
  }
};
using CausalWindow = SlidingWindow<true, WindowEdge::exclusive>;                        ///< 0 <= i - j < W
using CausalWindowInclusive = SlidingWindow<true, WindowEdge::inclusive>;               ///< 0 <= i - j <= W
using BidirectionalWindow = SlidingWindow<false, WindowEdge::inclusive>;                ///< |i - j| <= W
using BidirectionalWindowExclusive = SlidingWindow<false, WindowEdge::exclusive>;       ///< |i - j| < W

/// Prompt tokens see the whole prompt, the text sees what came before: j < p for i < p, else j <= i, with
/// p = shape.text.begin (prefix language model). The prompt's states do not depend on the text.
struct PrefixBidirectional {
  constexpr Interval keys(Index query, const TextShape& shape) const noexcept {
    return {0, std::max(query + 1, query < shape.text.begin ? shape.text.begin : 0)};
  }
};

/// A token sees what both masks let it see: Intersection{Causal{}, BidirectionalWindow{4}}.
template <MaskPolicy A, MaskPolicy B>
struct Intersection {
  A a{};
  B b{};
  constexpr Interval keys(Index query, const TextShape& shape) const noexcept {
    return intersection(a.keys(query, shape), b.keys(query, shape));
  }
};
template <class A, class B>
Intersection(A, B) -> Intersection<A, B>;

static_assert(MaskPolicy<Causal> && MaskPolicy<Bidirectional> && MaskPolicy<PrefixBidirectional>);
static_assert(MaskPolicy<CausalWindow> && MaskPolicy<BidirectionalWindow>);
static_assert(MaskPolicy<Intersection<Causal, BidirectionalWindow>>);

}  // namespace embedpool
