#pragma once
#include <concepts>
#include <cstdint>
#include <span>

#include "embedpool/core/aligned_buffer.hpp"
#include "embedpool/pooling/calibration.hpp"
#include "embedpool/pooling/concepts.hpp"

namespace embedpool {

/// Keys begin at multiples of so many numbers: 64 bytes, a cache line.
template <Real S>
inline constexpr Index key_alignment = 64 / static_cast<Index>(sizeof(S));

/// Rows for `keys` keys in `memory`, each at its alignment. What stands in them is not set.
template <Real S>
Rows<S> key_rows(AlignedBuffer<S>& memory, Index keys, Index width) {
  const Index stride = (width + key_alignment<S> - 1) / key_alignment<S> * key_alignment<S>;
  return {memory.reserve(keys * stride), keys, width, stride};
}

/// The keys of a text whose keys are rows of one layer (keys_are_rows): the rows themselves where they are of the head's
/// type, aligned and nothing calibrates them, else read and calibrated into `scratch`.
template <Real S, class Tokens, Element T>
Keys<S> keys_of_rows(const Tokens& tokens, const Calibration<S>* calibration, const TextStates<T>& text,
                     std::span<const Index> kinds, AlignedBuffer<S>& scratch) {
  if constexpr (std::same_as<T, S>) {
    if (text.is_packed() && calibration == nullptr) {
      const Interval needed = tokens.reads(text.shape());
      const Rows<const S> rows = text.packed().middle_rows(needed.begin - text.held().begin, needed.size());
      if (reinterpret_cast<std::uintptr_t>(rows.data) % 64 == 0 && rows.stride % key_alignment<S> == 0) return {rows, kinds};
    }
  }
  const Rows<S> rows = key_rows(scratch, static_cast<Index>(kinds.size()), text.width());
  tokens.read(text, rows);
  if (calibration) calibration->forward(kinds, rows);
  return {rows, kinds};
}

}  // namespace embedpool
