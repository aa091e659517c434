#pragma once
#include <cmath>

#include "embedpool/loss/unit_rows.hpp"

namespace embedpool {

/// Two teachers as one, for a loss that asks for cosines: those of the rows below are a weighted mean of both teachers'.
///
///   t_i = [ a_i / |a_i|, sqrt(weight) b_i / |b_i| ]
///   cos(t_i, t_j) = (cos(a_i, a_j) + weight cos(b_i, b_j)) / (1 + weight)
///
/// With the model itself, as it was before training, for one of the two it keeps what it knew and the other does not teach.
///
/// Shapes  a [N, A], b [N, B] -> [N, A + B]; a row without a direction has cosine 0 to all
/// Errors  ShapeError for teachers of other numbers of texts, or a weight that is negative or no finite number
/// Source  a model's own answers from before training as targets: learning without forgetting, arXiv 1606.09282
template <Real S>
Matrix<S> joined_teachers(Rows<const S> a, Rows<const S> b, double weight) {
  require_equal("joined teachers", "rows of the second", b.rows, a.rows);
  if (!(weight >= 0 && std::isfinite(weight))) throw ShapeError("joined teachers: the weight must be finite and not negative");
  Matrix<S> joined(a.rows, a.cols + b.cols);
  joined.leftCols(a.cols) = as_eigen(UnitRows<S>(a).units());
  joined.rightCols(b.cols) = static_cast<S>(std::sqrt(weight)) * as_eigen(UnitRows<S>(b).units());
  return joined;
}

}  // namespace embedpool
