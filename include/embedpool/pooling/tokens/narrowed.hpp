#pragma once
#include <string>
#include <utility>

#include "embedpool/pooling/tokens/all_tokens.hpp"

namespace embedpool {

/// A reader that is shown only a part of each text, as if that part were the whole text: the common half of
/// PromptExcluded, SkipFirst and SecondCopy. Any reader can be narrowed, a user's own too, and narrowing nests: the
/// outer modifier cuts first.
///
/// `View` answers view(shape) -> Interval and has a `name` for messages.
/// Errors  check: ShapeError when the view of a text is empty
template <class View, class Reader>
struct Narrowed {
  static constexpr bool reads_whole_rows = embedpool::reads_whole_rows<Reader>();
  View view{};
  Reader reader{};

  void check(const TextShape& shape) const {
    const Interval shown = view.view(shape);
    if (shown.empty())
      throw ShapeError(std::string(View::name) + ": no token is left to read in a text of " +
                       std::to_string(shape.tokens) + " tokens whose own tokens are [" +
                       std::to_string(shape.text.begin) + ", " + std::to_string(shape.text.end) + ")");
    reader.check(narrowed(shape, shown));
  }
  constexpr Index slots() const noexcept { return reader.slots(); }
  constexpr Index keys(const TextShape& shape) const noexcept { return reader.keys(part(shape)); }
  constexpr Index slot(Index k, const TextShape& shape) const noexcept { return reader.slot(k, part(shape)); }
  constexpr Interval reads(const TextShape& shape) const noexcept {
    const Index begin = view.view(shape).begin;
    const Interval inner = reader.reads(part(shape));
    return {inner.begin + begin, inner.end + begin};
  }
  constexpr bool keys_are_rows() const noexcept { return embedpool::keys_are_rows(reader); }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const {
    reader.read(states.narrowed(view.view(states.shape())), out);
  }
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const {
    const Interval shown = view.view(states.shape());
    const Interval kept = intersection(states.held(), shown);
    reader.backward(states.narrowed(shown), dout, dstates.middle_rows(kept.begin - states.held().begin, kept.size()));
  }

 private:
  constexpr TextShape part(const TextShape& shape) const noexcept { return narrowed(shape, view.view(shape)); }
};

}  // namespace embedpool
