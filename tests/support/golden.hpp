#pragma once
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "embedpool/core/segments.hpp"
#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/tensor_values.hpp"

namespace embedpool::test {

/// Where the golden files are: EMBEDPOOL_GOLDEN, else those in this folder's tests/golden.
inline std::filesystem::path golden_directory() {
  const char* chosen = std::getenv("EMBEDPOOL_GOLDEN");
  return chosen != nullptr && *chosen != 0 ? chosen : EMBEDPOOL_TEST_GOLDEN_DIR;
}

/// Packed offsets [B + 1] as segments.
inline Segments segments_of(const io::Tensor& offsets) {
  const auto values = io::integers_of(offsets);
  return Segments::from_offsets(std::vector<Index>(values.begin(), values.end()));
}

/// Largest absolute value, 0 of an empty matrix.
template <class M>
double peak(const M& m) {
  return m.size() == 0 ? 0.0 : static_cast<double>(m.cwiseAbs().maxCoeff());
}

}  // namespace embedpool::test
