#pragma once
#include "embedpool/core/rows.hpp"
#include "embedpool/cuda/kernels/heads/row_ranges.hpp"
#include "embedpool/cuda/kernels/heads/tile_product.cuh"

/// The three products between the r rows of a text and its n keys, text by text: plain matrix products but for the
/// ragged n. With heads = 1 and M the weights [r, n] of text b, X its rows [r, d] and V its keys [n, d]
///
///   KeyMix  X = M V      KeyScores  M = X V^T      KeySpread  V = M^T X
///
/// each of which is the gradient of another. With more heads a row has weights for each, and a head has its own d columns
/// of a key.
///
/// Plan    a block for a tile of 64 x 64 results of one text (and head)
/// Shapes  weights [r heads, N], row i heads + h; keys [N, heads d]; rows [B r, d], those of text b from row b r on
/// Note    sums over keys run in their order, from the first key of the text: they do not depend on the batch
namespace embedpool::cuda::head_kernels {

/// rows[b r + i] = sum_h sum_n weights[i heads + h, n] values[n, h d ...] (+ rows)
struct KeyMix {
  static constexpr int threads = tile_threads;
  RowRanges keys;
  Rows<const float> weights;
  Rows<const float> values;
  Rows<float> rows;
  Index heads = 1;
  bool add = false;

  LaunchShape launch_shape() const noexcept { return {keys.texts * row_tiles() * column_tiles(), tile_shared_bytes}; }
  constexpr Index queries() const noexcept { return weights.rows / heads; }
  constexpr Index row_tiles() const noexcept { return divide_up(queries(), tile); }
  constexpr Index column_tiles() const noexcept { return divide_up(rows.cols, tile); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index tiles = row_tiles() * column_tiles(), text = thread.block() / tiles, place = thread.block() % tiles;
    const Index row = place / column_tiles() * tile, column = place % column_tiles() * tile;
    const Index begin = keys.begin(text);
    float sums[4][4] = {};
    for (Index h = 0; h < heads; ++h)
      add_tile_product<true, false>(
          thread, keys.size(text),
          [&](int i, Index k) { return row + i < queries() ? weights((row + i) * heads + h, begin + k) : 0.0f; },
          [&](Index k, int j) { return column + j < rows.cols ? values(begin + k, h * rows.cols + column + j) : 0.0f; },
          sums);
    store_tile(thread, sums, [&](int i, int j, float sum) {
      if (row + i >= queries() || column + j >= rows.cols) return;
      float& out = rows(text * queries() + row + i, column + j);
      out = add ? out + sum : sum;
    });
  }
};

/// weights[i heads + h, n] = scale rows[b r + i] . values[n, h d ...]
struct KeyScores {
  static constexpr int threads = tile_threads;
  RowRanges keys;
  Rows<const float> rows;
  Rows<const float> values;
  Rows<float> weights;
  Index heads = 1;
  float scale = 1;

  LaunchShape launch_shape() const noexcept {
    return {keys.texts * heads * row_tiles() * key_tiles(), tile_shared_bytes};
  }
  constexpr Index queries() const noexcept { return weights.rows / heads; }
  constexpr Index row_tiles() const noexcept { return divide_up(queries(), tile); }
  constexpr Index key_tiles() const noexcept { return divide_up(keys.longest, tile); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index tiles = row_tiles() * key_tiles(), text = thread.block() / (tiles * heads);
    const Index h = thread.block() / tiles % heads, place = thread.block() % tiles;
    const Index row = place / key_tiles() * tile, key = place % key_tiles() * tile;
    const Index begin = keys.begin(text), count = keys.size(text), width = rows.cols;
    float sums[4][4] = {};
    add_tile_product<true, true>(
        thread, key < count ? width : 0,
        [&](int i, Index k) { return row + i < queries() ? rows(text * queries() + row + i, k) : 0.0f; },
        [&](Index k, int j) { return key + j < count ? values(begin + key + j, h * width + k) : 0.0f; }, sums);
    store_tile(thread, sums, [&](int i, int j, float sum) {
      if (row + i < queries() && key + j < count) weights((row + i) * heads + h, begin + key + j) = scale * sum;
    });
  }
};

/// values[n, h d ...] = sum_i weights[i heads + h, n] rows[b r + i] (+ values)
struct KeySpread {
  static constexpr int threads = tile_threads;
  RowRanges keys;
  Rows<const float> weights;
  Rows<const float> rows;
  Rows<float> values;
  Index heads = 1;
  bool add = false;

  LaunchShape launch_shape() const noexcept {
    return {keys.texts * heads * key_tiles() * column_tiles(), tile_shared_bytes};
  }
  constexpr Index queries() const noexcept { return weights.rows / heads; }
  constexpr Index key_tiles() const noexcept { return divide_up(keys.longest, tile); }
  constexpr Index column_tiles() const noexcept { return divide_up(rows.cols, tile); }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index tiles = key_tiles() * column_tiles(), text = thread.block() / (tiles * heads);
    const Index h = thread.block() / tiles % heads, place = thread.block() % tiles;
    const Index key = place / column_tiles() * tile, column = place % column_tiles() * tile;
    const Index begin = keys.begin(text), count = keys.size(text), width = rows.cols;
    float sums[4][4] = {};
    add_tile_product<false, false>(
        thread, key < count ? queries() : 0,
        [&](int i, Index k) { return key + i < count ? weights(k * heads + h, begin + key + i) : 0.0f; },
        [&](Index k, int j) { return column + j < width ? rows(text * queries() + k, column + j) : 0.0f; }, sums);
    store_tile(thread, sums, [&](int i, int j, float sum) {
      if (key + i >= count || column + j >= width) return;
      float& out = values(begin + key + i, h * width + column + j);
      out = add ? out + sum : sum;
    });
  }
};

}  // namespace embedpool::cuda::head_kernels
