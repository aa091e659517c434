#pragma once
#include <utility>

#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Reads what stands before the text's own tokens, [0, text.begin): the states of an instruction, which says what task a
/// text is for. A text without a prompt gives no key, so the reader stands beside another one:
///
///   Both<PromptOnly<LastToken>, PromptExcluded<TokenMean>>   under a causal mask the first key is the same for all texts
///                                                            of a task
///
/// Errors  a text for which no reader of a pooling gives a key is refused by the pooling
template <class Reader>
struct PromptOnly {
  Reader reader{};

  constexpr PromptOnly(Reader inner = {}) : reader(std::move(inner)) {}

  void check(const TextShape& shape) const {
    if (!view(shape).empty()) reader.check(part(shape));
  }
  constexpr Index slots() const noexcept { return reader.slots(); }
  constexpr Index keys(const TextShape& shape) const noexcept {
    return view(shape).empty() ? 0 : reader.keys(part(shape));
  }
  constexpr Index slot(Index k, const TextShape& shape) const noexcept { return reader.slot(k, part(shape)); }
  constexpr Interval reads(const TextShape& shape) const noexcept {
    return view(shape).empty() ? Interval{} : reader.reads(part(shape));
  }

  template <Element T, Real S>
  void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    const Interval shown = view(states.shape());
    if (!shown.empty()) reader.read(states.narrowed(shown), out);
  }
  template <Element T, Real S>
  void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    const Interval shown = view(states.shape());
    if (shown.empty()) return;
    const Interval kept = intersection(states.held(), shown);
    reader.backward(states.narrowed(shown), dout, dstates.middle_rows(kept.begin - states.held().begin, kept.size()));
  }

 private:
  static constexpr Interval view(const TextShape& shape) noexcept { return {0, shape.text.begin}; }
  static constexpr TextShape part(const TextShape& shape) noexcept { return narrowed(shape, view(shape)); }
};

}  // namespace embedpool
