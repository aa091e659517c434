#pragma once
#include <algorithm>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// Positions [begin, end) inside one text; empty when end <= begin.
struct Interval {
  Index begin = 0;
  Index end = 0;

  constexpr Index size() const noexcept { return end > begin ? end - begin : 0; }
  constexpr bool empty() const noexcept { return end <= begin; }
  constexpr bool contains(Index i) const noexcept { return begin <= i && i < end; }
  friend constexpr bool operator==(Interval, Interval) = default;
};

/// What two intervals share (possibly empty).
constexpr Interval intersection(Interval a, Interval b) noexcept {
  return {std::max(a.begin, b.begin), std::min(a.end, b.end)};
}

/// The smallest interval that holds both; an empty one adds nothing.
constexpr Interval hull(Interval a, Interval b) noexcept {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

/// What masks and readers may ask about one text of a batch. All positions count real tokens from 0.
///
///   [ BOS, prompt | the text's own tokens | rest of the template, EOS )
///   0             text.begin              text.end                    tokens
///
/// `second_copy` is the first token of the second copy when the template repeats the text (echo embeddings,
/// arXiv 2402.15449), else text.begin. `prompt_end` counts the tokens that the prompt has by itself, with what is in front
/// of it, as sentence-transformers counts them: text.begin, or more where the prompt's last bytes share a token with the
/// text; 0 where there is no prompt.
/// Valid: 0 <= text.begin <= second_copy <= text.end <= tokens, 0 <= prompt_end < tokens.
struct TextShape {
  Index tokens = 0;
  Interval text{};
  Index second_copy = 0;
  Index prompt_end = 0;

  /// A bare text: no prompt, nothing appended.
  static constexpr TextShape bare(Index tokens) noexcept { return {tokens, {0, tokens}, 0}; }
  friend constexpr bool operator==(const TextShape&, const TextShape&) = default;
};

/// The part `view` of a text as a text of its own: positions count from view.begin, and what the text marks is cut to
/// the view. Requires  view lies in [0, tokens) and is not empty
constexpr TextShape narrowed(const TextShape& shape, Interval view) noexcept {
  const auto cut = [&](Index position) { return std::clamp(position, view.begin, view.end) - view.begin; };
  return {view.size(), {cut(shape.text.begin), cut(shape.text.end)}, cut(shape.second_copy), cut(shape.prompt_end)};
}

}  // namespace embedpool
