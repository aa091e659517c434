#pragma once
#include <algorithm>
#include <cmath>

#include "embedpool/core/error.hpp"
#include "embedpool/core/matrix.hpp"

namespace embedpool {

/// Length of a row, summed in double from the first column to the last, so that it depends on the row alone.
template <Real S>
double l2_norm(std::span<const S> x) noexcept {
  double sum = 0;
  for (const S value : x) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum);
}

inline constexpr double shortest_norm = 1e-12;  ///< a shorter row is divided by this, as in PyTorch's `normalize`

/// Divides each row by its length: y = x / max(|x|, 1e-12), in place.
template <Real S>
void l2_normalize(Rows<S> x) noexcept {
  for (Index i = 0; i < x.rows; ++i) {
    const double length = std::max(l2_norm<S>(x.row(i)), shortest_norm);
    for (S& value : x.row(i)) value = static_cast<S>(static_cast<double>(value) / length);
  }
}

/// dx += (dy - y (y . dy)) / |x|, and dy / 1e-12 where |x| is shorter. x as it was before l2_normalize.
template <Real S>
void l2_normalize_backward(Rows<const S> x, Rows<const S> dy, Rows<S> dx) noexcept {
  for (Index i = 0; i < x.rows; ++i) {
    const double length = l2_norm<S>(x.row(i));
    const double divisor = std::max(length, shortest_norm);
    double dot = 0;
    for (Index j = 0; length > shortest_norm && j < x.cols; ++j)
      dot += static_cast<double>(x(i, j)) / length * static_cast<double>(dy(i, j));
    for (Index j = 0; j < x.cols; ++j)
      dx(i, j) += static_cast<S>((static_cast<double>(dy(i, j)) - static_cast<double>(x(i, j)) / divisor * dot) / divisor);
  }
}

/// The first `dimensions` columns, a view: Matryoshka embeddings keep their meaning when cut (arXiv 2205.13147).
/// Errors: ShapeError unless 1 <= dimensions <= columns.
template <class T>
Rows<T> truncate(Rows<T> x, Index dimensions) {
  require_in("truncate", "dimensions", dimensions, 1, x.cols);
  return x.middle_cols(0, dimensions);
}

/// dx[:, :dimensions] += dy; the columns that were cut away have no gradient.
template <Real S>
void truncate_backward(Rows<const S> dy, Rows<S> dx) {
  require_in("truncate_backward", "columns of dy", dy.cols, 1, dx.cols);
  for (Index i = 0; i < dy.rows; ++i)
    for (Index j = 0; j < dy.cols; ++j) dx(i, j) += dy(i, j);
}

/// The explicit last steps of an embedding, in this order: cut to the first dimensions, then make each row a unit
/// vector. Cut first: a cut unit vector is not one.
struct Finishing {
  Index dimensions = 0;   ///< 0: all of them
  bool normalize = true;

  /// Errors: ShapeError when there are fewer columns than dimensions.
  template <Real S>
  Matrix<S> forward(const Matrix<S>& pooled) const {
    const Index kept = dimensions == 0 ? pooled.cols() : dimensions;
    Matrix<S> embeddings = as_eigen(truncate(rows_of(pooled), kept));
    if (normalize) l2_normalize(rows_of(embeddings));
    return embeddings;
  }

  /// dpooled += the gradient, given `pooled` as forward saw it and de of what forward returned.
  template <Real S>
  void backward(const Matrix<S>& pooled, Rows<const S> de, Rows<S> dpooled) const {
    if (!normalize) return truncate_backward(de, dpooled);
    l2_normalize_backward(truncate(rows_of(pooled), de.cols), de, truncate(dpooled, de.cols));
  }
};

}  // namespace embedpool
