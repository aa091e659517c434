#pragma once
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

  constexpr Interval shown(const TextShape& shape) const noexcept {
    const Interval part = view == TokenView::whole         ? Interval{0, shape.tokens}
                          : view == TokenView::text         ? shape.text
                          : view == TokenView::prompt       ? Interval{0, shape.text.begin}
                          : view == TokenView::after_prompt ? Interval{shape.prompt_end, shape.tokens}
                                                            : Interval{shape.second_copy, shape.text.end};
    return {std::max(part.begin, std::min(skip_first, part.end - 1)), part.end};
  }
  friend constexpr bool operator==(const TokenChoice&, const TokenChoice&) = default;
};

/// Readers chosen at run time, one or several at once: a TokensPolicy like the fixed ones, with the same arithmetic.
///
///   AnyTokens::parse("mean")               the mean of the whole text
///   AnyTokens::parse("last,mean@text")     Both<LastToken, PromptExcluded<TokenMean>>
///   AnyTokens::parse("mean@skip:1")        SkipFirst<TokenMean>{1}
struct AnyTokens {
  std::vector<TokenChoice> readers{TokenChoice{}};

  void check(const TextShape& shape) const {
    if (readers.empty()) throw ShapeError("AnyTokens: no reader");
    for (const TokenChoice& reader : readers) {
      const std::string name(token_kind_names[static_cast<std::size_t>(reader.kind)]);
      if (reader.skip_first < 0) throw ShapeError("AnyTokens: " + name + ": skip must not be negative");
      if (reader.shown(shape).empty() && reader.view != TokenView::prompt)
        throw ShapeError("AnyTokens: " + name + "@" +
                         std::string(token_view_names[static_cast<std::size_t>(reader.view)]) +
                         ": no token is left to read in a text of " + std::to_string(shape.tokens) + " tokens");
    }
  }
  Index slots() const noexcept { return static_cast<Index>(readers.size()); }
  Index keys(const TextShape& shape) const noexcept {
    Index sum = 0;
    for (const TokenChoice& reader : readers) sum += keys_of(reader, shape);
    return sum;
  }
  Index slot(Index k, const TextShape& shape) const noexcept {
    Index reader = 0;
    for (Index first = 0; reader + 1 < slots(); ++reader) {
      first += keys_of(readers[static_cast<std::size_t>(reader)], shape);
      if (k < first) break;
    }
    return reader;
  }
  Interval reads(const TextShape& shape) const noexcept {
    Interval all{};
    for (const TokenChoice& reader : readers) {
      const Interval shown = reader.shown(shape);
      if (shown.empty()) continue;
      const Interval inner = with_reader(reader.kind, [&](const auto& policy) { return policy.reads(narrowed(shape, shown)); });
      all = hull(all, {inner.begin + shown.begin, inner.end + shown.begin});
    }
    return all;
  }
  bool keys_are_rows() const noexcept { return readers.size() == 1 && readers.front().kind == TokenKind::all; }

  template <Element T, Real S>
  void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    Index first = 0;
    for (const TokenChoice& reader : readers) {
      const Index keys = keys_of(reader, states.shape());
      if (keys == 0) continue;
      const TextStates<T> part = states.narrowed(reader.shown(states.shape()));
      with_reader(reader.kind, [&](const auto& policy) { policy.read(part, out.middle_rows(first, keys)); });
      first += keys;
    }
  }
  template <Element T, Real S>
  void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    Index first = 0;
    for (const TokenChoice& reader : readers) {
      const Index keys = keys_of(reader, states.shape());
      if (keys == 0) continue;
      const Interval shown = reader.shown(states.shape());
      const Interval kept = intersection(states.held(), shown);
      const Rows<S> dpart = dstates.middle_rows(kept.begin - states.held().begin, kept.size());
      with_reader(reader.kind, [&](const auto& policy) {
        policy.backward(states.narrowed(shown), dout.middle_rows(first, keys), dpart);
      });
      first += keys;
    }
  }

  /// Names between commas, each `name`, `name@text`, `name@second-copy`, `name@prompt`, `name@after-prompt` or `name@skip:K`, in any
  /// combination. A name without its own skip takes `skip_first`.
  /// Errors: ShapeError naming the part that is not understood, with the names that are.
  static AnyTokens parse(std::string_view names, Index skip_first = 0) {
    AnyTokens tokens{{}};
    for (std::string_view rest = names;;) {
      const std::size_t comma = rest.find(',');
      tokens.readers.push_back(parse_one(rest.substr(0, comma), names, skip_first));
      if (comma == std::string_view::npos) return tokens;
      rest.remove_prefix(comma + 1);
    }
  }

  /// What parse() reads: parse(tokens.to_string()) == tokens.
  std::string to_string() const {
    std::string names;
    for (const TokenChoice& reader : readers) {
      if (!names.empty()) names += ',';
      names += token_kind_names[static_cast<std::size_t>(reader.kind)];
      if (reader.view != TokenView::whole)
        (names += '@') += token_view_names[static_cast<std::size_t>(reader.view)];
      if (reader.skip_first != 0) names += "@skip:" + std::to_string(reader.skip_first);
    }
    return names;
  }
  friend bool operator==(const AnyTokens&, const AnyTokens&) = default;

 private:
  static Index keys_of(const TokenChoice& reader, const TextShape& shape) noexcept {
    const Interval shown = reader.shown(shape);
    return reader.kind == TokenKind::all ? shown.size() : shown.empty() ? 0 : 1;
  }

  static TokenChoice parse_one(std::string_view text, std::string_view names, Index skip_first) {
    TokenChoice choice{.skip_first = skip_first};
    std::size_t at = text.find('@');
    const auto kind = std::find(token_kind_names.begin(), token_kind_names.end(), text.substr(0, at));
    if (kind == token_kind_names.end()) refuse(names, text.substr(0, at));
    choice.kind = static_cast<TokenKind>(kind - token_kind_names.begin());
    while (at != std::string_view::npos) {
      text.remove_prefix(at + 1);
      at = text.find('@');
      const std::string_view modifier = text.substr(0, at);
      const auto view = std::find(token_view_names.begin(), token_view_names.end(), modifier);
      if (view != token_view_names.end())
        choice.view = static_cast<TokenView>(view - token_view_names.begin());
      else if (!modifier.starts_with("skip:") || !number(modifier.substr(5), choice.skip_first))
        refuse(names, modifier);
    }
    return choice;
  }
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

static_assert(TokensPolicy<AnyTokens, float> && TokensPolicy<AnyTokens, double>);

}  // namespace embedpool
