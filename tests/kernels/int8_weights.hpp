#pragma once
#include <vector>

#include "embedpool/kernels/int8/int8_gemm.hpp"
#include "kernels/random_values.hpp"

namespace embedpool::test {

/// Random weights in their storage format.
struct StoredWeights {
  std::vector<std::byte> blocks;
  WeightView view;

  StoredWeights(Format format, Index rows, Index cols, unsigned seed)
      : blocks(random_blocks(format, rows * cols / info(format).block_values, seed)),
        view{blocks.data(), format, rows, cols} {}
};

/// The formats that products of integers take.
inline std::vector<Format> int8_formats() {
  std::vector<Format> formats;
  for (const Format format : every_format)
    if (int8_supports(format)) formats.push_back(format);
  return formats;
}

inline Rows<const float> as_rows(const std::vector<float>& values, Index rows) {
  return {values.data(), rows, static_cast<Index>(values.size()) / rows};
}

}  // namespace embedpool::test
