#pragma once
#include "embedpool/pooling/tokens/narrowed.hpp"

namespace embedpool {

/// Shows the text's own tokens: neither the prompt before them nor what the template appends.
struct OwnTokens {
  static constexpr const char* name = "PromptExcluded";
  constexpr Interval view(const TextShape& shape) const noexcept { return shape.text; }
};

/// Reads only the text's own tokens [text.begin, text.end): PromptExcluded<TokenMean>.
///
/// Errors  check: ShapeError for a text without a token of its own
/// Source  instruction masks of INSTRUCTOR (arXiv 2212.09741), GritLM and NV-Embed
template <class Reader>
struct PromptExcluded : Narrowed<OwnTokens, Reader> {
  constexpr PromptExcluded(Reader inner = {}) : Narrowed<OwnTokens, Reader>{{}, std::move(inner)} {}
};

}  // namespace embedpool
