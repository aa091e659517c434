#pragma once
#include "embedpool/core/types.hpp"

namespace embedpool::cuda {

/// Where the keys of one reader go: those of text b are consecutive rows from row(b) on.
struct KeyPlaces {
  const Index* first = nullptr;           ///< [B] in the first layer that is read
  const Index* keys_per_layer = nullptr;  ///< [B] keys that a layer gives of a text, of all readers
  Index layer_slot = 0;

  constexpr Index row(Index b) const noexcept { return first[b] + layer_slot * keys_per_layer[b]; }
};

}  // namespace embedpool::cuda
