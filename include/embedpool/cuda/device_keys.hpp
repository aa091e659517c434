#pragma once
#include "embedpool/core/rows.hpp"

namespace embedpool::cuda {

/// The keys of a batch as heads read them, in device memory: those of text b are rows [first_key[b], first_key[b + 1]),
/// row k of kind kind[k] (see KeyLayout).
struct DeviceKeys {
  Rows<const float> rows{};          ///< [keys of all texts, D]
  const Index* kind = nullptr;       ///< [keys of all texts]
  const Index* first_key = nullptr;  ///< [B + 1]
  Index texts = 0;
  Index longest = 0;  ///< most keys that a text has
  Index kinds = 0;    ///< kinds that there are: layers read x kinds a layer gives
};

}  // namespace embedpool::cuda
