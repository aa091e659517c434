#pragma once
#include "embedpool/pooling/tokens/narrowed.hpp"

namespace embedpool {

/// Shows what follows the first `count` tokens; of a text that is not longer than that, its last token.
struct AfterFirst {
  static constexpr const char* name = "SkipFirst";
  Index count = 0;
  constexpr Interval view(const TextShape& shape) const noexcept {
    return {std::min(count, shape.tokens - 1), shape.tokens};
  }
};

/// Reads without the first `tokens` tokens: SkipFirst<TokenMean>{1}. The first token of an untuned decoder carries a
/// massive activation that says nothing about the text. A text of so many tokens or fewer keeps its last token.
///
/// Errors  the constructor: ShapeError for a negative number
template <class Reader>
struct SkipFirst : Narrowed<AfterFirst, Reader> {
  constexpr SkipFirst(Index tokens = 1, Reader inner = {})
      : Narrowed<AfterFirst, Reader>{{tokens}, std::move(inner)} {
    if (tokens < 0) throw ShapeError("SkipFirst: count must not be negative, got " + std::to_string(tokens));
  }
};

}  // namespace embedpool
