#pragma once
#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/kernels/read_rows.cuh"
#include "embedpool/cuda/kernels/read_tokens.cuh"
#include "embedpool/cuda/kernels/sum_tokens.cuh"
#include "embedpool/cuda/kernels/unit_token_mean.cuh"
#include "embedpool/cuda/reader_parts.hpp"

namespace embedpool::cuda {

/// The keys that one reader gives of a layer, by the kernel that is best for it: sums over tokens are split over warps,
/// rows are copied side by side, and any other reader runs column by column.
///
/// `scratch` is kept between calls. Shapes as in ReadTokens
template <class Part, Device D, DeviceElement T>
void read_part(D& device, const Part& part, const DeviceStates<T>& states, const KeyPlaces& places, Rows<float> keys,
               DeviceBuffer<double>& scratch) {
  using Reader = typename Part::Reader;
  using Shown = typename Part::Shown;
  if constexpr (WeightedSumReader<Reader>) {
    device.launch(SumTokens<Shown, ReaderWeights<Reader>, T>{part.shown, {}, states, places, keys});
  } else if constexpr (std::same_as<Reader, UnitTokenMean>) {
    double* const inverse_lengths = scratch.reserve(device, states.texts.rows);
    device.launch(InverseLengths<T>{states, UnitTokenMean::shortest, inverse_lengths});
    device.launch(SumTokens<Shown, UnitWeights, T>{part.shown, {inverse_lengths}, states, places, keys});
  } else {
    if constexpr (requires { part.reader.keys_are_rows(); })
      if (part.reader.keys_are_rows()) return device.launch(ReadRows<Part, T>{part, states, places, keys});
    device.launch(ReadTokens<Part, T>{part, states, places, keys});
  }
}

/// dstates += the gradient of the rows that read_part looked at.
///
/// Shapes  dkeys as keys, dstates [states.texts.rows, D]
template <class Part, Device D, DeviceElement T>
void read_part_backward(D& device, const Part& part, const DeviceStates<T>& states, const KeyPlaces& places,
                        Rows<const float> dkeys, Rows<float> dstates) {
  using Reader = typename Part::Reader;
  using Shown = typename Part::Shown;
  if constexpr (WeightedSumReader<Reader>) {
    device.launch(SumTokensBackward<Shown, ReaderWeights<Reader>>{part.shown, {}, states.texts, places, dkeys, dstates});
  } else if constexpr (std::same_as<Reader, UnitTokenMean>) {
    device.launch(
        UnitTokenMeanBackward<Shown, T>{part.shown, states, UnitTokenMean::shortest, places, dkeys, dstates});
  } else {
    if constexpr (requires { part.reader.keys_are_rows(); })
      if (part.reader.keys_are_rows())
        return device.launch(ReadRowsBackward<Part>{part, states.texts, places, dkeys, dstates});
    device.launch(ReadTokensBackward<Part, T>{part, states, places, dkeys, dstates});
  }
}

}  // namespace embedpool::cuda
