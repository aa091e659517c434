#include "embedpool/pooling/heads/attention_cost.hpp"

#include <doctest/doctest.h>

#include <cmath>

using namespace embedpool;
using head_math::AttentionSizes;
using head_math::ValueOrder;

namespace {

constexpr AttentionSizes released{4096, 768, 32, 2048};

/// 10^9 operations, two a multiply-add, rounded.
long giga(Index multiply_adds) { return std::lround(2e-9 * static_cast<double>(multiply_adds)); }

/// Multiply-adds of a product [m, k] x [k, n].
constexpr Index product(Index m, Index k, Index n) { return m * k * n; }

}  // namespace

TEST_CASE("the costs of the released sizes are those counted by hand") {
  // D 4096, 768 latents, 32 heads of 2048, a feed-forward of 4 D: 10^9 operations a text, plain and best, by keys
  struct Row {
    Index keys;
    long plain, best;
  };
  for (const Row& row : {Row{1, 1135, 208}, Row{32, 1175, 253}, Row{128, 1297, 395}, Row{512, 1787, 962}}) {
    CAPTURE(row.keys);
    CHECK(giga(head_math::plain_cost(released, row.keys, 4 * 4096)) == row.plain);
    CHECK(std::abs(giga(head_math::best_cost(released, row.keys, 4 * 4096, 768)) - row.best) <= 1);  // of rounded terms
  }
  CHECK(giga(head_math::feed_forward_cost(4096, 4 * 4096, 768, false)) == 309);
  // A small head: D 576, 64 latents, 8 heads of 64, 30 keys; 0.41 x 10^9, and the full one of D 896, 24 keys: 17.6
  CHECK(2e-9 * double(head_math::best_cost({576, 64, 8, 64}, 30, 4 * 576, 64)) ==
        doctest::Approx(0.413).epsilon(0.002));
  CHECK(2e-9 * double(head_math::best_cost({896, 768, 32, 2048}, 24, 4 * 896, 768)) ==
        doctest::Approx(17.6).epsilon(0.005));
}

TEST_CASE("each cost is the sum of its products") {
  const AttentionSizes s{7, 3, 2, 5};
  const Index n = 4, inner = 10;
  const Index values = product(n, 7, inner), out = product(3, inner, 7);
  CHECK(head_math::score_cost(s, n, true) == product(n, 7, 2 * 3));
  CHECK(head_math::score_cost(s, n, false) == product(n, 7, inner) + 2 * product(n, 5, 3));
  CHECK(head_math::value_cost(s, n, ValueOrder::one_key) == product(1, 7, inner) + product(1, inner, 7));
  CHECK(head_math::value_cost(s, n, ValueOrder::mix_between) == values + 2 * product(3, n, 5) + out);
  CHECK(head_math::value_cost(s, n, ValueOrder::pool_first) == 2 * product(3, n, 7) + 2 * product(3, 7, 5) + out);
  CHECK(head_math::value_cost(s, n, ValueOrder::project_first) == values + 2 * product(n, 5, 7) + product(3, 2 * n, 7));
}

TEST_CASE("the order chosen is the cheapest of those counted") {
  for (const Index width : {1, 9, 64, 576, 4096})
    for (const Index queries : {1, 8, 64, 768})
      for (const Index heads : {1, 8, 32})
        for (const Index head_dim : {1, 18, 64, 2048})
          for (const Index keys : {2, 3, 30, 500, 4000}) {
            const AttentionSizes s{width, queries, heads, head_dim};
            const Index chosen = head_math::value_cost(s, keys, head_math::value_order(s, keys));
            for (const ValueOrder order : {ValueOrder::pool_first, ValueOrder::mix_between, ValueOrder::project_first})
              if (head_math::value_cost(s, keys, order) < chosen) FAIL("cheaper: order ", static_cast<int>(order));
          }
  CHECK(head_math::value_order(released, 1) == ValueOrder::one_key);
}

TEST_CASE("keys are folded exactly when r < d D / (D - d)") {
  for (const Index width : {1, 5, 64, 576, 4096})
    for (const Index head_dim : {1, 4, 64, 128, 4096})
      for (const Index queries : {1, 2, 5, 64, 71, 72, 73, 131, 132, 133, 768}) {
        const bool rule = head_dim >= width || queries * (width - head_dim) < head_dim * width;
        CHECK(head_math::fold_keys({width, queries, 8, head_dim}) == rule);
      }
  CHECK(head_math::fold_keys(released));
  CHECK(head_math::fold_keys({4096, 132, 32, 128}));  // the limit there: 132.1
  CHECK(!head_math::fold_keys({4096, 133, 32, 128}));
}

TEST_CASE(
    "at the released sizes keys go through both projections first up to about 650 of them, one query pools first") {
  Index last = 2;
  while (head_math::value_order(released, last + 1) == ValueOrder::project_first) ++last;
  CHECK(last > 600);
  CHECK(last < 700);
  CHECK(head_math::value_order(released, last + 1) == ValueOrder::mix_between);
  CHECK(head_math::value_order({4096, 1, 32, 128}, 512) == ValueOrder::pool_first);
}

TEST_CASE("fixed values are projected ahead exactly when r H D < r H d + H d D") {
  CHECK(head_math::project_fixed_values({4096, 512, 8, 4096}));  // NV-Embed
  CHECK(head_math::project_fixed_values({9, 3, 1, 16}));
  CHECK(!head_math::project_fixed_values({9, 40, 5, 2}));  // 1800 against 400 + 90
}
