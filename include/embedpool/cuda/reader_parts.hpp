#pragma once
#include <variant>

#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/prompt_only.hpp"
#include "embedpool/pooling/tokens/second_copy.hpp"
#include "embedpool/pooling/tokens/skip_first.hpp"

namespace embedpool::cuda {

/// What a reader under no modifier is shown of a text: a function from TextShape to the interval of its tokens.
struct WholeText {
  constexpr Interval operator()(const TextShape& shape) const noexcept { return {0, shape.tokens}; }
};

/// What `view` leaves of what `outer` shows; nothing where outer shows nothing.
template <class Outer, class View>
struct ViewIn {
  Outer outer;
  View view;

  constexpr Interval operator()(const TextShape& shape) const noexcept {
    const Interval shown = outer(shape);
    if (shown.empty()) return {};
    const Interval inner = view.view(narrowed(shape, shown));
    return {shown.begin + inner.begin, shown.begin + inner.end};
  }
};

/// One entry of an AnyTokens as a view.
struct ChosenView {
  TokenChoice choice;
  constexpr Interval view(const TextShape& shape) const noexcept { return choice.shown(shape); }
};

/// A reader, and the part of each text that it is shown. Where that is empty it gives no key.
template <class ShownType, class ReaderType>
struct ReaderPart {
  using Shown = ShownType;
  using Reader = ReaderType;
  Shown shown;
  Reader reader;

  constexpr Index keys(const TextShape& shape) const noexcept {
    const Interval part = shown(shape);
    return part.empty() ? 0 : reader.keys(narrowed(shape, part));
  }
  /// The tokens that it reads, as positions in the text.
  constexpr Interval reads(const TextShape& shape) const noexcept {
    const Interval part = shown(shape);
    if (part.empty()) return {};
    const Interval inner = reader.reads(narrowed(shape, part));
    return {part.begin + inner.begin, part.begin + inner.end};
  }
};

/// Takes a reader apart: calls f(part) for each reader that gives keys of its own, in the order of their keys. So each
/// runs as the kernel that is best for it, whatever modifiers are around it, and readers chosen at run time are types
/// when they reach the device. Users' own readers and modifiers stay whole.
template <class Shown, class Tokens, class F>
void for_each_part(const Shown& shown, const Tokens& tokens, const F& f) {
  f(ReaderPart<Shown, Tokens>{shown, tokens});
}
/// A reader chosen at run time as one of the fixed ones.
using FixedReader = std::variant<LastToken, FirstToken, TokenMean, PositionWeightedMean, TokenMax, TokenMeanSqrt,
                                 UnitTokenMean, AllTokens>;

template <class Shown, class F>
void for_each_part(const Shown& shown, const AnyTokens& tokens, const F& f) {
  for (const TokenChoice& choice : tokens.readers) {
    const FixedReader fixed = with_reader(choice.kind, [](const auto& reader) { return FixedReader(reader); });
    std::visit([&](const auto& reader) { for_each_part(ViewIn<Shown, ChosenView>{shown, {choice}}, reader, f); }, fixed);
  }
}
template <class Shown, class A, class B, class F>
void for_each_part(const Shown& shown, const Both<A, B>& tokens, const F& f) {
  for_each_part(shown, tokens.a, f);
  for_each_part(shown, tokens.b, f);
}
template <class Shown, class View, class Reader, class F>
void for_each_part(const Shown& shown, const Narrowed<View, Reader>& tokens, const F& f) {
  for_each_part(ViewIn<Shown, View>{shown, tokens.view}, tokens.reader, f);
}
// The library's modifiers are no more than Narrowed. A user's that derives from it may have a `read` of its own.
template <class Shown, class Reader, class F>
void for_each_part(const Shown& shown, const PromptExcluded<Reader>& tokens, const F& f) {
  for_each_part(shown, static_cast<const Narrowed<OwnTokens, Reader>&>(tokens), f);
}
template <class Shown, class Reader, class F>
void for_each_part(const Shown& shown, const PromptOnly<Reader>& tokens, const F& f) {
  for_each_part(shown, static_cast<const Narrowed<PromptTokens, Reader>&>(tokens), f);
}
template <class Shown, class Reader, class F>
void for_each_part(const Shown& shown, const SecondCopy<Reader>& tokens, const F& f) {
  for_each_part(shown, static_cast<const Narrowed<RepeatedTokens, Reader>&>(tokens), f);
}
template <class Shown, class Reader, class F>
void for_each_part(const Shown& shown, const SkipFirst<Reader>& tokens, const F& f) {
  for_each_part(shown, static_cast<const Narrowed<AfterFirst, Reader>&>(tokens), f);
}

template <class Tokens, class F>
void for_each_part(const Tokens& tokens, const F& f) {
  for_each_part(WholeText{}, tokens, f);
}

}  // namespace embedpool::cuda
