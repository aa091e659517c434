#pragma once
#include <algorithm>
#include <span>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/pooling/normalize.hpp"

namespace embedpool {

/// The chosen rows of x, each divided by its length: inner products of them are cosines. A row of zeros stays one, and
/// has cosine 0 with everything.
///
/// Shapes  x [N, D], chosen [n] -> [n, D]
/// Errors  ShapeError when a chosen row is out of range
inline Matrix<float> unit_rows_of(Rows<const float> x, std::span<const Index> chosen) {
  Matrix<float> rows(static_cast<Index>(chosen.size()), x.cols);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    require_in("unit_rows_of", "row", chosen[i], 0, x.rows - 1);
    std::copy_n(x.row_data(chosen[i]), x.cols, rows.data() + static_cast<Index>(i) * x.cols);
  }
  l2_normalize(rows_of(rows));
  return rows;
}

}  // namespace embedpool
