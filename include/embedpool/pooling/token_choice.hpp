#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "embedpool/pooling/tokens/all_tokens.hpp"
#include "embedpool/pooling/tokens/first_token.hpp"
#include "embedpool/pooling/tokens/last_token.hpp"
#include "embedpool/pooling/tokens/position_weighted_mean.hpp"
#include "embedpool/pooling/tokens/token_max.hpp"
#include "embedpool/pooling/tokens/token_mean.hpp"
#include "embedpool/pooling/tokens/token_mean_sqrt.hpp"
#include "embedpool/pooling/tokens/unit_token_mean.hpp"

namespace embedpool {

/// A reader by number, in the order of `token_kind_names`.
enum class TokenKind : unsigned char { last, first, mean, weighted_mean, max, mean_sqrt, unit_mean, all };
inline constexpr std::array<std::string_view, 8> token_kind_names = {"last", "first",     "mean",      "weighted-mean",
                                                                     "max",  "mean-sqrt", "unit-mean", "all"};

/// Calls f with the fixed reader of a kind: where a choice at run time becomes a type.
template <class F>
decltype(auto) with_reader(TokenKind kind, F&& f) noexcept {
  switch (kind) {
    case TokenKind::first: return f(FirstToken{});
    case TokenKind::mean: return f(TokenMean{});
    case TokenKind::weighted_mean: return f(PositionWeightedMean{});
    case TokenKind::max: return f(TokenMax{});
    case TokenKind::mean_sqrt: return f(TokenMeanSqrt{});
    case TokenKind::unit_mean: return f(UnitTokenMean{});
    case TokenKind::all: return f(AllTokens{});
    case TokenKind::last: break;
  }
  return f(LastToken{});
}

/// Which part of a text a reader is shown: all of it, its own tokens (PromptExcluded), the second copy, what stands before
/// the text (PromptOnly: no key where there is no prompt), or all but the prompt, where there is one (as
/// sentence-transformers has it: what stands behind the text is there, and without a prompt what stands before it).
enum class TokenView : unsigned char { whole, text, second_copy, prompt, after_prompt };
inline constexpr std::array<std::string_view, 5> token_view_names = {"whole", "text", "second-copy", "prompt",
                                                                     "after-prompt"};

/// One reader chosen at run time: what it computes, over which part of the text, without the first tokens of the
/// input. Skipping counts from the start of the input, prompt included, as massive activations do; a view that would
/// be skipped entirely keeps its last token.
struct TokenChoice {
  TokenKind kind = TokenKind::last;
  TokenView view = TokenView::whole;
  Index skip_first = 0;

  /// The tokens of a text that it is shown.
  constexpr Interval shown(const TextShape& shape) const noexcept {
    const Interval part = view == TokenView::whole         ? Interval{0, shape.tokens}
                          : view == TokenView::text         ? shape.text
                          : view == TokenView::prompt       ? Interval{0, shape.text.begin}
                          : view == TokenView::after_prompt ? Interval{shape.prompt_end, shape.tokens}
                                                            : Interval{shape.second_copy, shape.text.end};
    return {std::max(part.begin, std::min(skip_first, part.end - 1)), part.end};
  }
  /// How many keys it makes of a text.
  Index keys(const TextShape& shape) const noexcept {
    const Interval some = shown(shape);
    return kind == TokenKind::all ? some.size() : some.empty() ? 0 : 1;
  }

  /// A name as in AnyTokens::parse, of `names`, which errors quote.
  static TokenChoice parse(std::string_view text, std::string_view names, Index skip_first) {
    TokenChoice choice{.skip_first = skip_first};
    std::size_t at = text.find('@');
    const auto named = std::find(token_kind_names.begin(), token_kind_names.end(), text.substr(0, at));
    if (named == token_kind_names.end()) refuse(names, text.substr(0, at));
    choice.kind = static_cast<TokenKind>(named - token_kind_names.begin());
    while (at != std::string_view::npos) {
      text.remove_prefix(at + 1);
      at = text.find('@');
      const std::string_view modifier = text.substr(0, at);
      const auto part = std::find(token_view_names.begin(), token_view_names.end(), modifier);
      if (part != token_view_names.end())
        choice.view = static_cast<TokenView>(part - token_view_names.begin());
      else if (!modifier.starts_with("skip:") || !number(modifier.substr(5), choice.skip_first))
        refuse(names, modifier);
    }
    return choice;
  }
  /// What parse() reads.
  std::string to_string() const {
    std::string name(token_kind_names[static_cast<std::size_t>(kind)]);
    if (view != TokenView::whole) (name += '@') += token_view_names[static_cast<std::size_t>(view)];
    if (skip_first != 0) name += "@skip:" + std::to_string(skip_first);
    return name;
  }
  friend constexpr bool operator==(const TokenChoice&, const TokenChoice&) = default;

 private:
  static bool number(std::string_view text, Index& value) noexcept {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size() && value >= 0;
  }
  [[noreturn]] static void refuse(std::string_view names, std::string_view part) {
    std::string message = "pooling \"" + std::string(names) + "\": \"" + std::string(part) + "\" is not known; say ";
    for (const std::string_view name : token_kind_names) (message += name) += ", ";
    throw ShapeError(message + "with @text, @second-copy, @prompt, @after-prompt or @skip:K behind it, several between commas");
  }
};

}  // namespace embedpool
