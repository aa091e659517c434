#pragma once
#include "embedpool/cuda/device_states.hpp"
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/key_places.hpp"
#include "embedpool/pooling/tokens/weighted_sum.hpp"

namespace embedpool::cuda {

/// The weights that a WeightedSumReader names.
template <WeightedSumReader Reader>
struct ReaderWeights {
  constexpr double weight(Index token, Index /*row*/) const noexcept { return Reader::weight(token); }
  constexpr double divisor(Index tokens) const noexcept { return Reader::divisor(tokens); }
};

/// One key a text, a weighted sum of the tokens that it is shown: key = sum_t weight(t, row of t) h_t / divisor(n).
/// Blocks for text and tile of columns; a lane holds neighbouring columns, and warp w of W takes tokens w, w + W, ...,
/// whose sums are added up in the order of the warps: an order that depends on the number of tokens alone. Sums are in
/// double, which widening and bandwidth hide.
///
/// Shapes  states [rows, D], keys [keys of all texts, D]
/// Oracle  embedpool::weighted_sum, up to the order of sums in double
template <class Shown, class Weights, DeviceElement T>
struct SumTokens {
  static constexpr int threads = 256;
  static constexpr int warps = threads / warp_size;
  static constexpr int columns = warp_size * pack_size<T>;  ///< of a tile of packs; at most one for each thread
  static_assert(columns <= threads);
  Shown shown;
  Weights weights;
  DeviceStates<T> states;
  KeyPlaces places;
  Rows<float> keys;

  constexpr Index tile() const noexcept { return in_packs(states.buffer) ? columns : warp_size; }
  LaunchShape launch_shape() const noexcept {
    return {states.texts.texts * divide_up(keys.cols, tile()), warps * tile() * Index(sizeof(double))};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    if (in_packs(states.buffer))
      sum_tile<pack_size<T>>(thread);
    else
      sum_tile<1>(thread);
  }

 private:
  template <int n, GridThread G>
  EMBEDPOOL_DEVICE void sum_tile(const G& thread) const {
    const Index tiles = divide_up(keys.cols, warp_size * n);
    const Index b = thread.block() / tiles, first_column = thread.block() % tiles * warp_size * n;
    const PackedTexts& texts = states.texts;
    const Interval part = shown(texts.shape[b]);
    const Index first_row = texts.first_row[b] + part.begin - texts.held[b].begin;

    std::array<double, n> sum{};
    const Index j = first_column + thread.lane() * n;
    for (Index t = thread.warp(); j < keys.cols && t < part.size(); t += warps) {
      const auto h = load<n>(states.row_data(first_row + t) + j);
      const double weight = weights.weight(t, first_row + t);
      for (std::size_t i = 0; i < n; ++i) sum[i] += weight * static_cast<double>(h[i]);
    }

    double* const sums = reinterpret_cast<double*>(thread.shared());  // [warps, n, 32]
    for (int i = 0; i < n; ++i)
      sums[(thread.warp() * n + i) * warp_size + thread.lane()] = sum[static_cast<std::size_t>(i)];
    thread.synchronize();
    const Index column = first_column + thread.index();
    if (thread.index() >= warp_size * n || column >= keys.cols || part.empty()) return;
    double all = 0;
    for (int w = 0; w < warps; ++w)
      all += sums[(w * n + thread.index() % n) * warp_size + thread.index() / n];
    keys(places.row(b), column) = static_cast<float>(all / weights.divisor(part.size()));
  }
};

/// dstates_t += weight(t) / divisor(n) dkey for every token that is shown. A block for a row.
///
/// Shapes  dkeys as keys, dstates [texts.rows, D]
/// Oracle  embedpool::weighted_sum_backward
template <class Shown, class Weights>
struct SumTokensBackward {
  static constexpr int threads = 128;
  Shown shown;
  Weights weights;
  PackedTexts texts;
  KeyPlaces places;
  Rows<const float> dkeys;
  Rows<float> dstates;

  LaunchShape launch_shape() const noexcept { return {texts.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index row = thread.block(), b = texts.text_of_row[row], token = texts.position(row);
    const Interval part = shown(texts.shape[b]);
    if (!part.contains(token)) return;
    const float weight = static_cast<float>(weights.weight(token - part.begin, row) / weights.divisor(part.size()));
    const float* const dkey = dkeys.row_data(places.row(b));
    float* const dh = dstates.row_data(row);
    for_columns<float>(thread, dkeys.cols, in_packs(dkeys) && in_packs(dstates), [&](auto n, Index j) {
      auto values = load<n>(dh + j);
      const auto added = load<n>(dkey + j);
      for (std::size_t i = 0; i < n; ++i) values[i] += weight * added[i];
      store(dh + j, values);
    });
  }
};

}  // namespace embedpool::cuda
