#pragma once
#include "embedpool/cuda/device_states.hpp"
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/key_places.hpp"

namespace embedpool::cuda {

/// The keys of a layer by a reader whose keys are the rows of part.reads(shape) unchanged. A block for a row, so that a
/// long text is no slower than many short ones.
///
/// Shapes  states [rows, D], keys [keys of all texts, D]
/// Oracle  embedpool::AllTokens, to the bit
template <class Part, DeviceElement T>
struct ReadRows {
  static constexpr int threads = 128;
  Part part;
  DeviceStates<T> states;
  KeyPlaces places;
  Rows<float> keys;

  LaunchShape launch_shape() const noexcept { return {states.texts.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index row = thread.block(), b = states.texts.text_of_row[row], token = states.texts.position(row);
    const Interval read = part.reads(states.texts.shape[b]);
    if (!read.contains(token)) return;
    const T* const from = states.row_data(row);
    float* const to = keys.row_data(places.row(b) + token - read.begin);
    for_columns<float>(thread, keys.cols, in_packs(states.buffer) && in_packs(keys),
                       [&](auto n, Index j) { store(to + j, load<n>(from + j)); });
  }
};

/// dstates += dkeys, row by row. A block for a row.
///
/// Shapes  dkeys as keys, dstates [texts.rows, D]
template <class Part>
struct ReadRowsBackward {
  static constexpr int threads = 128;
  Part part;
  PackedTexts texts;
  KeyPlaces places;
  Rows<const float> dkeys;
  Rows<float> dstates;

  LaunchShape launch_shape() const noexcept { return {texts.rows, 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index row = thread.block(), b = texts.text_of_row[row], token = texts.position(row);
    const Interval read = part.reads(texts.shape[b]);
    if (!read.contains(token)) return;
    const float* const from = dkeys.row_data(places.row(b) + token - read.begin);
    float* const to = dstates.row_data(row);
    for_columns<float>(thread, dkeys.cols, in_packs(dkeys) && in_packs(dstates), [&](auto n, Index j) {
      auto values = load<n>(to + j);
      const auto added = load<n>(from + j);
      for (std::size_t i = 0; i < n; ++i) values[i] += added[i];
      store(to + j, values);
    });
  }
};

}  // namespace embedpool::cuda
