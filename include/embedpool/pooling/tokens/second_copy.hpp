#pragma once
#include "embedpool/pooling/tokens/narrowed.hpp"

namespace embedpool {

/// Shows the second copy of an echoed text; of a text that is not repeated, its own tokens.
struct RepeatedTokens {
  static constexpr const char* name = "SecondCopy";
  constexpr Interval view(const TextShape& shape) const noexcept { return {shape.second_copy, shape.text.end}; }
};

/// Reads only the second copy of a text that the template repeats, [second_copy, text.end): under a causal mask its
/// tokens have seen the whole text.
///
/// Errors  check: ShapeError when the second copy has no token
/// Source  echo embeddings, arXiv 2402.15449
template <class Reader>
struct SecondCopy : Narrowed<RepeatedTokens, Reader> {
  constexpr SecondCopy(Reader inner = {}) : Narrowed<RepeatedTokens, Reader>{{}, std::move(inner)} {}
};

}  // namespace embedpool
