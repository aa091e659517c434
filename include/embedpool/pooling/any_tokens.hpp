#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/pooling/token_choice.hpp"

namespace embedpool {

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
    for (const TokenChoice& reader : readers) sum += reader.keys(shape);
    return sum;
  }
  Index slot(Index k, const TextShape& shape) const noexcept {
    Index reader = 0;
    for (Index first = 0; reader + 1 < slots(); ++reader) {
      first += readers[static_cast<std::size_t>(reader)].keys(shape);
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
      const Index keys = reader.keys(states.shape());
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
      const Index keys = reader.keys(states.shape());
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
      tokens.readers.push_back(TokenChoice::parse(rest.substr(0, comma), names, skip_first));
      if (comma == std::string_view::npos) return tokens;
      rest.remove_prefix(comma + 1);
    }
  }

  /// What parse() reads: parse(tokens.to_string()) == tokens.
  std::string to_string() const {
    std::string names;
    for (const TokenChoice& reader : readers) {
      if (!names.empty()) names += ',';
      names += reader.to_string();
    }
    return names;
  }
  friend bool operator==(const AnyTokens&, const AnyTokens&) = default;
};

static_assert(TokensPolicy<AnyTokens, float> && TokensPolicy<AnyTokens, double>);

}  // namespace embedpool
