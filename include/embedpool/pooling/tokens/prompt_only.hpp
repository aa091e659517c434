#pragma once
#include <utility>

#include "embedpool/pooling/tokens/narrowed.hpp"

namespace embedpool {

/// Shows what stands before the text's own tokens: the beginning of the template with the instruction in it.
struct PromptTokens {
  static constexpr const char* name = "PromptOnly";
  constexpr Interval view(const TextShape& shape) const noexcept { return {0, shape.text.begin}; }
};

/// Reads what stands before the text's own tokens, [0, text.begin): the states of an instruction, which says what task a
/// text is for. A text without a prompt gives no key, so the reader stands beside another one:
///
///   Both<PromptOnly<LastToken>, PromptExcluded<TokenMean>>   under a causal mask the first key is the same for all texts
///                                                            of a task
///
/// Errors  a text for which no reader of a pooling gives a key is refused by the pooling
template <class Reader>
struct PromptOnly : Narrowed<PromptTokens, Reader> {
  using Shown = Narrowed<PromptTokens, Reader>;
  constexpr PromptOnly(Reader inner = {}) : Shown{{}, std::move(inner)} {}

  void check(const TextShape& shape) const {
    if (has_prompt(shape)) Shown::check(shape);
  }
  constexpr Index keys(const TextShape& shape) const noexcept { return has_prompt(shape) ? Shown::keys(shape) : 0; }
  constexpr Interval reads(const TextShape& shape) const noexcept {
    return has_prompt(shape) ? Shown::reads(shape) : Interval{};
  }
  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const {
    if (has_prompt(states.shape())) Shown::read(states, out);
  }
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const {
    if (has_prompt(states.shape())) Shown::backward(states, dout, dstates);
  }

 private:
  static constexpr bool has_prompt(const TextShape& shape) noexcept { return shape.text.begin > 0; }
};

}  // namespace embedpool
