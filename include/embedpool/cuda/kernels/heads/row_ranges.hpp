#pragma once
#include "embedpool/cuda/device_keys.hpp"

namespace embedpool::cuda {

/// Which rows of a matrix belong to each text: [begin(b), begin(b) + size(b)).
struct RowRanges {
  const Index* first = nullptr;  ///< [B + 1] in device memory, or null where every text has `longest` rows
  Index texts = 0;
  Index longest = 0;  ///< most rows of a text

  constexpr Index begin(Index text) const noexcept { return first != nullptr ? first[text] : text * longest; }
  constexpr Index size(Index text) const noexcept {
    return first != nullptr ? first[text + 1] - first[text] : longest;
  }
};

/// The rows of the keys of each text.
constexpr RowRanges ranges_of(const DeviceKeys& keys) noexcept { return {keys.first_key, keys.texts, keys.longest}; }
/// `rows` rows for every text.
constexpr RowRanges equal_ranges(Index texts, Index rows) noexcept { return {nullptr, texts, rows}; }

}  // namespace embedpool::cuda
