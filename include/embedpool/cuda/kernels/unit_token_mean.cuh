#pragma once
#include <cmath>

#include "embedpool/cuda/device_states.hpp"
#include "embedpool/cuda/grid/reduce.cuh"
#include "embedpool/cuda/grid/columns.cuh"
#include "embedpool/cuda/key_places.hpp"

namespace embedpool::cuda {

/// 1 / max(|h|, shortest) of every row: UnitTokenMean is SumTokens with these as weights. A block for a row.
///
/// Shapes  states [rows, D], out [rows]
template <DeviceElement T>
struct InverseLengths {
  static constexpr int threads = 128;
  DeviceStates<T> states;
  double shortest;
  double* out;

  LaunchShape launch_shape() const noexcept {
    return {states.texts.rows, threads / warp_size * Index(sizeof(double))};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const T* const h = states.row_data(thread.block());
    double squares = 0;
    for_columns<T>(thread, states.buffer.cols, in_packs(states.buffer), [&](auto n, Index j) {
      for (const double x : load<n>(h + j)) squares += x * x;
    });
    squares = block_reduce(thread, squares, Sum{}, reinterpret_cast<double*>(thread.shared()));
    if (thread.index() == 0) out[thread.block()] = 1.0 / std::max(std::sqrt(squares), shortest);
  }
};

/// The weights of a mean of directions.
struct UnitWeights {
  const double* inverse_lengths;  ///< [rows]

  constexpr double weight(Index /*token*/, Index row) const noexcept { return inverse_lengths[row]; }
  constexpr double divisor(Index tokens) const noexcept { return static_cast<double>(tokens); }
};

/// dh_t += (dkey - u_t (u_t . dkey)) / (n max(|h_t|, shortest)), the second term only where |h_t| > shortest. A block
/// for a row.
///
/// Shapes  states [rows, D], dkeys [keys of all texts, D], dstates [states.texts.rows, D]
/// Oracle  embedpool::UnitTokenMean::backward
template <class Shown, DeviceElement T>
struct UnitTokenMeanBackward {
  static constexpr int threads = 128;
  Shown shown;
  DeviceStates<T> states;
  double shortest;
  KeyPlaces places;
  Rows<const float> dkeys;
  Rows<float> dstates;

  LaunchShape launch_shape() const noexcept {
    return {states.texts.rows, threads / warp_size * Index(sizeof(double))};
  }

  template <GridThread G>
  EMBEDPOOL_DEVICE void operator()(const G& thread) const {
    const PackedTexts& texts = states.texts;
    const Index row = thread.block(), b = texts.text_of_row[row];
    const Interval part = shown(texts.shape[b]);
    const Index columns = part.contains(texts.position(row)) ? dkeys.cols : 0;  // of other rows nothing is done
    const T* const h = states.row_data(row);
    const float* const dkey = columns > 0 ? dkeys.row_data(places.row(b)) : nullptr;
    double* const scratch = reinterpret_cast<double*>(thread.shared());

    double squares = 0, dot = 0;
    for_columns<float>(thread, columns, in_packs(states.buffer) && in_packs(dkeys), [&](auto n, Index j) {
      const auto values = load<n>(h + j);
      const auto d = load<n>(dkey + j);
      for (std::size_t i = 0; i < n; ++i) {
        const double x = values[i];
        squares += x * x;
        dot += x * static_cast<double>(d[i]);
      }
    });
    const double length = std::sqrt(block_reduce(thread, squares, Sum{}, scratch));
    dot = block_reduce(thread, dot, Sum{}, scratch);

    const double divisor = std::max(length, shortest), scale = 1.0 / (static_cast<double>(part.size()) * divisor);
    const double along = length > shortest ? dot / (length * length) : 0.0;  // u (u . dkey) = h along
    float* const dh = dstates.row_data(row);
    for_columns<float>(thread, columns, in_packs(states.buffer) && in_packs(dkeys) && in_packs(dstates),
                       [&](auto n, Index j) {
      const auto values = load<n>(h + j);
      const auto d = load<n>(dkey + j);
      auto sum = load<n>(dh + j);
      for (std::size_t i = 0; i < n; ++i)
        sum[i] += static_cast<float>((static_cast<double>(d[i]) - static_cast<double>(values[i]) * along) * scale);
      store(dh + j, sum);
    });
  }
};

}  // namespace embedpool::cuda
