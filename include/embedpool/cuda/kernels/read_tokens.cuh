#pragma once
#include "embedpool/cuda/device_states.hpp"
#include "embedpool/cuda/grid/grid_thread.hpp"
#include "embedpool/cuda/key_places.hpp"
#include "embedpool/pooling/tokens/one_key.hpp"

namespace embedpool::cuda {

/// How threads share what a reader does to a text: each takes a column of the states and runs the policy's own `read`
/// or `backward` on it, neighbours on neighbouring columns. A reader of whole rows runs on one thread a text.
template <class Reader>
struct ColumnShares {
  static constexpr bool whole_rows = reads_whole_rows<Reader>();
  static constexpr int threads = whole_rows ? 32 : 128;

  static constexpr Index tiles(Index width) noexcept { return whole_rows ? 1 : divide_up(width, threads); }
  /// The first column of a thread and how many it has, none beyond the width.
  template <GridThread G>
  static EMBEDPOOL_DEVICE Index first(const G& thread, Index width) {
    return thread.block() % tiles(width) * threads + thread.index();
  }
  static constexpr Index count(Index first, Index width) noexcept {
    if constexpr (whole_rows) return first == 0 ? width : 0;
    return first < width ? 1 : 0;
  }
};

/// The keys of a layer, by any reader: keys[places.row(b) ...] = part.reader.read(what it is shown of text b). Blocks for
/// text and tile of columns.
///
/// Shapes    states [rows, D], keys [keys of all texts, D]
/// Requires  the reader's `read` is constexpr, and reads column j of the states for column j of its keys unless it
///           says reads_whole_rows
/// Oracle    the reader's own `read`, to the bit
template <class Part, DeviceElement T>
struct ReadTokens {
  using Shares = ColumnShares<typename Part::Reader>;
  static constexpr int threads = Shares::threads;
  Part part;
  DeviceStates<T> states;
  KeyPlaces places;
  Rows<float> keys;

  LaunchShape launch_shape() const noexcept { return {states.texts.texts * Shares::tiles(keys.cols), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index b = thread.block() / Shares::tiles(keys.cols);
    const Index column = Shares::first(thread, keys.cols), count = Shares::count(column, keys.cols);
    const Interval shown = part.shown(states.texts.shape[b]);
    if (count == 0 || shown.empty()) return;
    const Index width = Shares::whole_rows ? count : 1;  // known to the compiler
    const TextStates<T> text = states.text(b, column, width).narrowed(shown);
    const Index rows = part.reader.keys(text.shape());
    const Rows<float> out = keys.middle_rows(places.row(b), rows).middle_cols(column, width);
    if (!Shares::whole_rows && rows == 1) {
      float key = 0;  // a register: a reader that folds tokens into its key would go to memory for each
      part.reader.read(text, Rows<float>(&key, 1, 1));
      out(0, 0) = key;
    } else {
      part.reader.read(text, out);
    }
  }
};

/// dstates += the gradient of the rows that were read.
///
/// Shapes  dkeys as keys, dstates [states.texts.rows, D]
/// Oracle  the reader's own `backward`, to the bit
template <class Part, DeviceElement T>
struct ReadTokensBackward {
  using Shares = ColumnShares<typename Part::Reader>;
  static constexpr int threads = Shares::threads;
  Part part;
  DeviceStates<T> states;
  KeyPlaces places;
  Rows<const float> dkeys;
  Rows<float> dstates;

  LaunchShape launch_shape() const noexcept { return {states.texts.texts * Shares::tiles(dkeys.cols), 0}; }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const Index b = thread.block() / Shares::tiles(dkeys.cols);
    const Index column = Shares::first(thread, dkeys.cols), count = Shares::count(column, dkeys.cols);
    const Interval shown = part.shown(states.texts.shape[b]);
    if (count == 0 || shown.empty()) return;
    const Index width = Shares::whole_rows ? count : 1;
    const TextStates<T> text = states.text(b, column, width).narrowed(shown);
    const Index rows = part.reader.keys(text.shape());
    const Interval held = states.texts.held[b], kept = intersection(held, shown);
    part.reader.backward(
        text, dkeys.middle_rows(places.row(b), rows).middle_cols(column, width),
        dstates.middle_rows(states.texts.first_row[b] + kept.begin - held.begin, kept.size()).middle_cols(column, width));
  }
};

}  // namespace embedpool::cuda
