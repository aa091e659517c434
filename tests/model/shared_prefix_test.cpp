#include <doctest/doctest.h>

#include <vector>

#include "embedpool/model/shared_prefix.hpp"

using namespace embedpool;

namespace {

/// Texts that begin with `prompt` tokens of a prompt; `shared` of all tokens are equal.
Batch batch(const std::vector<std::vector<TokenId>>& texts, Index prompt) {
  Batch batch;
  for (const auto& ids : texts) {
    const auto tokens = static_cast<Index>(ids.size());
    batch.add(ids, {tokens, {prompt, tokens}, prompt});
  }
  return batch;
}

const std::vector<std::vector<TokenId>> texts{{1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 9}, {1, 2, 3, 4, 5, 6, 7}};

}  // namespace

TEST_CASE("under causal masks all tokens up to the first difference are shared") {
  CHECK(shared_prefix(batch(texts, 2), Causal{}) == 4);
  CHECK(shared_prefix(batch(texts, 2), CausalWindow{2}) == 4);
  CHECK(shared_prefix(batch(texts, 2), CausalWindowInclusive{2}) == 4);
}

TEST_CASE("under a prefix mask the prompt is shared as a whole or not at all, and what follows it up to the difference") {
  CHECK(shared_prefix(batch(texts, 3), PrefixBidirectional{}) == 4);
  CHECK(shared_prefix(batch(texts, 4), PrefixBidirectional{}) == 4);
  CHECK(shared_prefix(batch(texts, 5), PrefixBidirectional{}) == 0);  // token 4, which differs, is seen by all of it
}

TEST_CASE("under masks that look ahead nothing is shared") {
  CHECK(shared_prefix(batch(texts, 2), Bidirectional{}) == 0);
  CHECK(shared_prefix(batch(texts, 2), BidirectionalWindow{1}) == 0);
}

TEST_CASE("prompts of different lengths share what sees the same keys") {
  Batch mixed;
  mixed.add(texts[0], {6, {2, 6}, 2});
  mixed.add(texts[2], {7, {3, 7}, 3});
  CHECK(shared_prefix(mixed, Causal{}) == 5);
  CHECK(shared_prefix(mixed, PrefixBidirectional{}) == 0);  // token 0 sees 2 tokens in one text and 3 in the other
}

TEST_CASE("every text keeps a token of its own, and one text shares with nobody") {
  CHECK(shared_prefix(batch({{1, 2, 3}, {1, 2, 3}}, 0), Causal{}) == 2);
  CHECK(shared_prefix(batch({{1, 2, 3}, {1}}, 0), Causal{}) == 0);
  CHECK(shared_prefix(batch({{1, 2, 3}}, 0), Causal{}) == 0);
  CHECK(shared_prefix(Batch{}, Causal{}) == 0);
  CHECK(shared_prefix(batch({{1, 2, 3}, {2, 2, 3}}, 0), Causal{}) == 0);
}

TEST_CASE("the first text is computed whole, the others behind the prefix, and rows are found again") {
  const Batch all = batch(texts, 2);
  const ComputedTokens computed(all.segments(), 4);
  CHECK(computed.selection().rows() == 6 + 1 + 3);
  CHECK(computed.selection().held(1) == Interval{4, 5});

  // Row r of x holds the number 10 r.
  std::vector<float> values(10);
  for (std::size_t r = 0; r < values.size(); ++r) values[r] = 10.0f * static_cast<float>(r);
  AlignedBuffer<float> repeated;
  SerialExecutor serial;
  const RowSelection every = RowSelection::all(all.segments());
  const Rows<float> rows =
      computed.rows_of(every, computed.selection(), Rows<float>(values.data(), 10, 1), repeated, serial);
  std::vector<float> found(rows.data, rows.data + rows.rows);
  CHECK(found == std::vector<float>{0, 10, 20, 30, 40, 50, 0, 10, 20, 30, 60, 0, 10, 20, 30, 70, 80, 90});
}

TEST_CASE("of the last layer the first text gives the shared tokens that any text reads") {
  const Batch all = batch(texts, 2);
  const ComputedTokens computed(all.segments(), 4);
  const RowSelection last(all.segments(), [](const TextShape& s) { return Interval{s.tokens - 1, s.tokens}; });
  CHECK(computed.giving(last, all.segments()).rows() == 3);
  const RowSelection middle(all.segments(), [](const TextShape&) { return Interval{3, 5}; });
  const RowSelection giving = computed.giving(middle, all.segments());
  CHECK(giving.held(0) == Interval{3, 5});
  CHECK(giving.held(1) == Interval{4, 5});
  const RowSelection first(all.segments(), [](const TextShape&) { return Interval{0, 1}; });
  CHECK(computed.giving(first, all.segments()).held(0) == Interval{0, 1});
  CHECK(computed.giving(first, all.segments()).held(2) == Interval{4, 5});
}
