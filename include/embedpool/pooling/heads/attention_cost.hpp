#pragma once
#include <algorithm>

#include "embedpool/core/types.hpp"

/// What a cross-attention with fixed queries costs, in multiply-adds, by the order in which its products are taken. All
/// orders are the same function; which is cheapest depends on the sizes alone.
///
///   out_i = sum over heads h and keys n of softmax_n(q_ih . W_K,h y_n) W_O,h W_V,h y_n
namespace embedpool::head_math {

/// r queries of D wide, H heads of d.
struct AttentionSizes {
  Index width;
  Index queries;
  Index heads;
  Index head_dim;
  constexpr Index inner() const noexcept { return heads * head_dim; }
};

/// When the values of n keys meet the value projection W_V [H d, D], the weights A [r, n] of each head, and the output
/// projection W_O [D, H d].
enum class ValueOrder {
  one_key,        ///< W_O (W_V y): every weight is 1, so that nothing is scored or mixed
  pool_first,     ///< W_O (W_V (A y)): r H rows of width D are mixed, then projected
  mix_between,    ///< W_O (A (W_V y)): the order of the definition
  project_first,  ///< A (W_O (W_V y)): keys go through both projections, then are mixed
};
inline constexpr ValueOrder every_value_order[] = {ValueOrder::one_key, ValueOrder::pool_first, ValueOrder::mix_between,
                                                   ValueOrder::project_first};

/// Multiply-adds from the normed keys of a text to the scores: r H D a key with the key projection folded into the
/// queries, which is done once for all texts; D H d + r H d a key without.
constexpr Index score_cost(const AttentionSizes& s, Index keys, bool folded) noexcept {
  return folded ? keys * s.queries * s.heads * s.width : keys * s.inner() * (s.width + s.queries);
}

/// Whether folding the key projection into r queries pays: 1 / r > 1 / d - 1 / D, that is r < d D / (D - d), and for
/// any r where d >= D.
constexpr bool fold_keys(const AttentionSizes& s) noexcept { return score_cost(s, 1, true) < score_cost(s, 1, false); }

/// Multiply-adds from the normed keys and the attention weights of a text to its r rows of output. `one_key` is the
/// cost of one row, which all queries share.
constexpr Index value_cost(const AttentionSizes& s, Index keys, ValueOrder order) noexcept {
  const Index r = s.queries, inner = s.inner(), project = inner * s.width;
  switch (order) {
    case ValueOrder::one_key: return 2 * project;
    case ValueOrder::pool_first: return r * s.heads * keys * s.width + r * project + r * project;
    case ValueOrder::mix_between: return keys * project + r * keys * inner + r * project;
    default: return keys * project + keys * project + r * s.heads * keys * s.width;
  }
}

/// The cheapest order for a text of so many keys; of equals the earlier one.
constexpr ValueOrder value_order(const AttentionSizes& s, Index keys) noexcept {
  if (keys == 1) return ValueOrder::one_key;
  ValueOrder best = ValueOrder::pool_first;
  for (const ValueOrder order : {ValueOrder::mix_between, ValueOrder::project_first})
    if (value_cost(s, keys, order) < value_cost(s, keys, best)) best = order;
  return best;
}

/// Whether fixed *values*, which rows of a text ask for (r latents of LatentAttention), are better projected by W_O
/// ahead of time: r H D multiply-adds a row against r H d + H d D.
constexpr bool project_fixed_values(const AttentionSizes& s) noexcept {
  return s.queries * s.heads * s.width < s.queries * s.inner() + s.inner() * s.width;
}

/// Values that lie between the products of a text, about: weights twice, and what the order makes of the keys.
constexpr Index values_between(const AttentionSizes& s, Index keys) noexcept {
  const Index weights = keys * s.heads * s.queries, rows = s.queries * s.width;
  switch (value_order(s, keys)) {
    case ValueOrder::one_key: return s.inner() + rows;
    case ValueOrder::pool_first: return 2 * weights + 2 * s.heads * rows + s.queries * s.inner() + rows;
    case ValueOrder::mix_between: return 2 * weights + (keys + s.queries) * s.inner() + rows;
    default: return 2 * weights + keys * s.inner() + keys * s.heads * s.width + rows;
  }
}

/// Multiply-adds of a gated feed-forward of inner width F on `rows` rows and the mean of them: with the mean before the
/// last map that sees one row.
constexpr Index feed_forward_cost(Index width, Index inner, Index rows, bool mean_first) noexcept {
  return rows * width * 2 * inner + (mean_first ? 1 : rows) * inner * width;
}

/// Multiply-adds of the best order for one text: scores, values, and the feed-forward on `rows` rows.
constexpr Index best_cost(const AttentionSizes& s, Index keys, Index feed_forward, Index rows) noexcept {
  const Index scores = keys == 1 ? 0 : score_cost(s, keys, fold_keys(s));
  return scores + value_cost(s, keys, value_order(s, keys)) + feed_forward_cost(s.width, feed_forward, rows, true);
}

/// Multiply-adds of the definition for one text, as published code runs it: queries projected for every text, values
/// mixed between their projections, the mean last.
constexpr Index plain_cost(const AttentionSizes& s, Index keys, Index feed_forward) noexcept {
  return s.queries * s.width * s.inner() + score_cost(s, keys, false) + value_cost(s, keys, ValueOrder::mix_between) +
         feed_forward_cost(s.width, feed_forward, s.queries, false);
}

}  // namespace embedpool::head_math
