#include "embedpool/pooling/padded.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/pooling/tokens/all_tokens.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/token_mean.hpp"

using namespace embedpool;

namespace {

template <class M>
Rows<const M> mask_of(const std::vector<M>& mask, Index columns) {
  return {mask.data(), static_cast<Index>(mask.size()) / columns, columns};
}

/// The values of text b, one a token, as a reader sees them.
template <Element T>
std::vector<double> tokens(const LayerStates<T>& states, Index b) {
  const TextStates<T> text = states.text(b);
  std::vector<double> found;
  for (Index t = 0; t < text.shape().tokens; ++t) found.push_back(to_real<double>(text.row(t)[0]));
  return found;
}
using Values = std::vector<double>;

}  // namespace

TEST_CASE_TEMPLATE("a mask of any integer type picks the real tokens, left, right or in holes", M, bool, signed char,
                   unsigned char, short, int, unsigned, long, std::uint64_t) {
  // std::vector<bool> has no data(): a plain array.
  const M mask[] = {0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1};
  const float buffer[] = {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33};
  const PaddedBatch batch(Rows<const M>(mask, 4, 4), PaddedLayout::contiguous(4, 1));
  const auto layer = batch.layer(buffer);
  CHECK(batch.segments().rows() == 11);
  CHECK(tokens(layer, 0) == Values{2, 3});
  CHECK(tokens(layer, 1) == Values{10, 11});
  CHECK(tokens(layer, 2) == Values{20, 22, 23});
  CHECK(tokens(layer, 3) == Values{30, 31, 32, 33});
}

TEST_CASE("a mask value other than 0 and 1 is a token") {
  const std::vector<int> mask = {0, -1, 7};
  const float buffer[] = {1, 2, 3};
  const PaddedBatch batch(mask_of(mask, 3), PaddedLayout::contiguous(3, 1));
  CHECK(tokens(batch.layer(buffer), 0) == Values{2, 3});
}

TEST_CASE("rows and texts may lie any distance apart") {
  const std::vector<int> mask = {1, 1, 1, 0};
  std::vector<float> buffer(40);
  for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = static_cast<float>(i);
  for (const Index text_stride : {Index(6), Index(7), Index(9), Index(30)}) {
    CAPTURE(text_stride);
    const PaddedBatch batch(mask_of(mask, 2), {.width = 2, .row_stride = 3, .text_stride = text_stride});
    CHECK(tokens(batch.layer(buffer.data()), 0) == Values{0, 3});
    CHECK(tokens(batch.layer(buffer.data()), 1) == Values{static_cast<double>(text_stride)});
  }
}

TEST_CASE("a buffer without padding between tokens is used as packed rows") {
  const std::vector<int> full = {1, 1, 1, 1}, gap = {1, 0, 1, 1}, ends = {0, 1, 1, 0};
  const float buffer[8] = {};
  const auto packed = [&](const std::vector<int>& mask) {
    return PaddedBatch(mask_of(mask, 2), PaddedLayout::contiguous(2, 2)).layer(buffer).index.empty();
  };
  CHECK(packed(full));
  CHECK(packed(ends));  // the first text ends where the second begins
  CHECK_FALSE(packed(gap));
  const PaddedBatch batch(mask_of(ends, 2), PaddedLayout::contiguous(2, 2));
  CHECK(batch.layer(buffer).buffer.data == buffer + 2);
}

TEST_CASE("prompt lengths count real tokens") {
  const std::vector<int> mask = {0, 1, 1, 1, 1, 1, 0, 0};
  const std::vector<Index> prompts = {2, 0};
  const PaddedBatch batch(mask_of(mask, 4), PaddedLayout::contiguous(4, 1), prompts);
  CHECK(batch.segments().shape(0).text == Interval{2, 3});
  CHECK(batch.segments().shape(1).text == Interval{0, 2});
  const float buffer[] = {-1, 1, 2, 3, 4, 8, -1, -1};
  const Pooling<LastLayer, PromptExcluded<TokenMean>, Identity> pooling;
  const std::vector<LayerStates<float>> layers = {{}, batch.layer(buffer)};
  const Matrix<float> e = pooling.run<float>({}, batch.segments(), std::span<const LayerStates<float>>(layers));
  CHECK(e(0, 0) == 3.0f);
  CHECK(e(1, 0) == 6.0f);
}

TEST_CASE("gradients go back to the rows that tokens came from") {
  const std::vector<int> mask = {0, 1, 1, 1, 0, 1};
  const PaddedBatch batch(mask_of(mask, 3), PaddedLayout::contiguous(3, 1));
  const double packed[] = {1, 2, 3, 4};
  double padded[] = {10, 10, 10, 10, 10, 10};
  batch.scatter_add(Rows<const double>(packed, 4, 1), padded);
  CHECK(std::vector<double>(padded, padded + 6) == Values{10, 11, 12, 13, 10, 14});
  CHECK_THROWS_AS(batch.scatter_add(Rows<const double>(packed, 3, 1), padded), ShapeError);
}

TEST_CASE("what is no batch is refused by name") {
  const std::vector<int> hole = {1, 0, 0, 0};
  const auto layout = PaddedLayout::contiguous(2, 4);
  CHECK_THROWS_WITH_AS(PaddedBatch(mask_of(hole, 2), layout),
                       "PaddedBatch: text 1 has no real token: its mask is all zero", ShapeError);
  const std::vector<int> mask = {1, 0, 1, 1};
  const std::vector<Index> long_prompt = {1, 3}, few = {1};
  CHECK_THROWS_WITH_AS(PaddedBatch(mask_of(mask, 2), layout, long_prompt),
                       "PaddedBatch: text 1: prompt tokens must be in [0, 2], got 3", ShapeError);
  CHECK_THROWS_WITH_AS(PaddedBatch(mask_of(mask, 2), layout, few), "PaddedBatch: prompt lengths must be 2, got 1",
                       ShapeError);
  CHECK_THROWS_AS(PaddedBatch(mask_of(mask, 2), {.width = 4, .row_stride = 3, .text_stride = 8}), ShapeError);
  CHECK_THROWS_AS(PaddedBatch(mask_of(mask, 2), {.width = 0, .row_stride = 3, .text_stride = 8}), ShapeError);
  CHECK_THROWS_AS(PaddedBatch(mask_of(mask, 2), {.width = 4, .row_stride = 4, .text_stride = -8}), ShapeError);
}

TEST_CASE("a batch of no texts has no embeddings") {
  const PaddedBatch batch(Rows<const int>(nullptr, 0, 5), PaddedLayout::contiguous(5, 3));
  const std::vector<LayerStates<float>> layers = {{}, batch.layer<float>(nullptr)};
  const Pooling<LastLayer, TokenMean, Identity> pooling;
  CHECK(pooling.run<float>({}, batch.segments(), std::span<const LayerStates<float>>(layers)).rows() == 0);
}
