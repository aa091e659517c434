#pragma once
#include <algorithm>
#include <cassert>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "embedpool/core/text_shape.hpp"
#include "embedpool/io/prompt_template.hpp"

namespace embedpool::io {

/// The ids of one text as a model sees them, and where its own tokens lie among them.
struct LaidOutText {
  std::vector<TokenId> ids;
  TextShape shape;
  bool truncated = false;
};

/// How a text becomes ids: a template around it, ids in front of and behind the whole, and how many ids there may be.
///
///   ids = [prepended][ids of the joined string: before, text (, between, text), after][appended]
///
/// The joined string is tokenized as a whole, as the models that such prompts were made for were trained, so a token
/// may straddle the edge of the text (`."` at the end of a quoted sentence). A token belongs to the text when it holds
/// any byte of it. Edges are found by comparing the ids of the whole with those of its beginnings and ends: where they
/// agree they hold the same bytes, with any tokenizer.
///
/// Too long: only the text is cut, at its end, each copy alike; the pieces around it, tokenized by themselves then, and
/// the ids in front and behind stay.
struct TextLayout {
  PromptTemplate prompt{};
  std::vector<TokenId> prepended{};
  std::vector<TokenId> appended{};
  Index max_tokens = 0;  ///< 0: any number

  /// `encode(string) -> std::vector<TokenId>` adds no special ids by itself.
  /// Errors  ShapeError when the text is empty or has no token, or max_tokens leaves no room for one; whatever encode throws
  template <class Encode>
  LaidOutText lay_out(std::string_view text, Encode&& encode) const {
    if (text.empty()) throw ShapeError("text is empty");
    const std::vector<TokenId> whole = encode(prompt.render(text));
    const std::vector<TokenId> before = prompt.pieces()[0].empty() ? std::vector<TokenId>{} : encode(prompt.pieces()[0]);
    std::vector<Interval> copies;
    for (std::size_t copy = 1; copy <= prompt.copies(); ++copy) {
      const Interval tokens{copy == 1 ? common_prefix(whole, before) : edge_before(text, copy, whole, encode),
                            edge_behind(text, copy, whole, encode)};
      if (tokens.empty()) throw ShapeError("text has no token");
      copies.push_back(tokens);
    }
    const Index budget = max_tokens - static_cast<Index>(prepended.size() + appended.size());
    if (max_tokens > 0 && static_cast<Index>(whole.size()) > budget) return cut(whole, before, copies, budget, encode);
    return assemble(whole, before, {copies.front().begin, copies.back().end}, copies.back().begin, false);
  }

  /// A text given as ids: nothing is put around it but what this layout prepends and appends.
  /// Errors: ShapeError when there is no id, or max_tokens leaves no room for one.
  LaidOutText lay_out(std::span<const TokenId> ids) const {
    if (ids.empty()) throw ShapeError("text has no token");
    const Index budget = max_tokens - static_cast<Index>(prepended.size() + appended.size());
    const bool truncated = max_tokens > 0 && static_cast<Index>(ids.size()) > budget;
    if (truncated && budget < 1) no_room();
    std::vector<TokenId> kept(ids.begin(), truncated ? ids.begin() + budget : ids.end());
    const Index count = static_cast<Index>(kept.size());
    return assemble(std::move(kept), {}, {0, count}, 0, truncated);
  }

 private:
  static Index common_prefix(const std::vector<TokenId>& a, const std::vector<TokenId>& b) {
    return std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
  }

  /// First token of the whole that holds a byte of this copy of the text, the second or a later one.
  template <class Encode>
  Index edge_before(std::string_view text, std::size_t copy, const std::vector<TokenId>& whole, Encode&& encode) const {
    return common_prefix(whole, encode(prompt.render(text, copy, false)));
  }

  /// One behind the last token of the whole that holds a byte of this copy of the text.
  template <class Encode>
  Index edge_behind(std::string_view text, std::size_t copy, const std::vector<TokenId>& whole, Encode&& encode) const {
    const std::string rest = prompt.render(text).substr(prompt.render(text, copy).size());
    if (rest.empty()) return static_cast<Index>(whole.size());
    const std::vector<TokenId> beginning = encode(prompt.render(text, copy));
    // Nothing straddles the edge when the beginning's ids stand in the whole unchanged.
    if (const Index common = common_prefix(whole, beginning); common == static_cast<Index>(beginning.size()))
      return common;
    const std::vector<TokenId> end = encode(rest);
    return whole.rend() - std::mismatch(whole.rbegin(), whole.rend(), end.rbegin(), end.rend()).first;
  }

  template <class Encode>
  LaidOutText cut(const std::vector<TokenId>& whole, const std::vector<TokenId>& before,
                  const std::vector<Interval>& copies, Index budget, Encode&& encode) const {
    std::vector<std::vector<TokenId>> pieces{{whole.begin(), whole.begin() + copies.front().begin}};
    for (std::size_t i = 1; i < prompt.pieces().size(); ++i)
      pieces.push_back(prompt.pieces()[i].empty() ? std::vector<TokenId>{} : encode(prompt.pieces()[i]));
    for (const auto& piece : pieces) budget -= static_cast<Index>(piece.size());
    const Index room = budget / static_cast<Index>(prompt.copies());
    if (room < 1) no_room();

    std::vector<TokenId> ids = pieces.front();
    const Index begin = static_cast<Index>(ids.size());
    Index last_copy = begin, end = begin;
    for (std::size_t copy = 0; copy < copies.size(); ++copy) {
      const auto first = whole.begin() + copies[copy].begin;
      last_copy = static_cast<Index>(ids.size());
      ids.insert(ids.end(), first, first + std::min(room, copies[copy].size()));
      end = static_cast<Index>(ids.size());
      ids.insert(ids.end(), pieces[copy + 1].begin(), pieces[copy + 1].end());
    }
    return assemble(std::move(ids), before, {begin, end}, last_copy, true);
  }

  /// `before`: the ids that the prompt has by itself.
  LaidOutText assemble(std::vector<TokenId> ids, const std::vector<TokenId>& before, Interval text, Index last_copy,
                       bool truncated) const {
    const Index shift = static_cast<Index>(prepended.size());
    ids.insert(ids.begin(), prepended.begin(), prepended.end());
    ids.insert(ids.end(), appended.begin(), appended.end());
    const Index tokens = static_cast<Index>(ids.size());
    const Index prompt_end = before.empty() ? 0 : std::min(shift + static_cast<Index>(before.size()), tokens - 1);
    return {std::move(ids), {tokens, {text.begin + shift, text.end + shift}, last_copy + shift, prompt_end}, truncated};
  }

  [[noreturn]] void no_room() const {
    throw ShapeError("at most " + std::to_string(max_tokens) +
                     " tokens leave no room for the text beside its prompt and what is appended");
  }
};

}  // namespace embedpool::io
