#pragma once
#include <cmath>
#include <vector>

#include "embedpool/loss/cosent.hpp"

namespace embedpool {

/// AnglE: CoSENT on the difference of angles in complex space, which does not saturate as the cosine does.
///
/// With halves x = a + i b and y = c + i d of width D / 2, z = sum(c^2 + d^2), and |x|, |y| the whole lengths:
///
///   re = (a c + b d) / z,  im = (b c - a d) / z,  both divided by |x| / |y|
///   s  = | sum(re) + sum(im) | = | sum(a c + b d + b c - a d) | / (|x| |y|)
///
/// Shapes  x, y, dx, dy [P, D] with D even; labels [P]; adds to dx and dy
/// Errors  ShapeError for odd widths and parts that do not fit
/// Source  arXiv 2309.12871
struct AnglE {
  double scale = 20.0;

  template <Real S>
  double operator()(Rows<const S> x, Rows<const S> y, std::span<const double> labels, Rows<S> dx, Rows<S> dy) const {
    require_pairs("AnglE", x, y, labels, dx, dy);
    require_equal("AnglE", "width modulo 2", x.cols % 2, 0);
    UnitRows<S> u(x), v(y);
    std::vector<double> similarity(static_cast<std::size_t>(x.rows)), gradient(similarity.size(), 0.0);
    std::vector<S> sign(similarity.size());
    for (Index i = 0; i < x.rows; ++i) {
      const auto k = static_cast<std::size_t>(i);
      const S sum = as_eigen(u.units()).row(i).dot(turned(as_eigen(v.units()).row(i), S(1)));
      sign[k] = sum < S(0) ? S(-1) : S(1);
      similarity[k] = static_cast<double>(sign[k] * sum);
    }
    const double loss = ranking_loss(similarity, labels, scale, gradient);
    for (Index i = 0; i < x.rows; ++i) {
      const auto k = static_cast<std::size_t>(i);
      const S ds = static_cast<S>(gradient[k]) * sign[k];
      as_eigen(u.gradient()).row(i) = ds * turned(as_eigen(v.units()).row(i), S(1));
      as_eigen(v.gradient()).row(i) = ds * turned(as_eigen(u.units()).row(i), S(-1));
    }
    u.backward(dx);
    v.backward(dy);
    return loss;
  }

 private:
  /// The row t with x . t = sum(a c + b d + b c - a d): t = [c - s d | d + s c], s = 1; s = -1 is its transpose.
  template <class Row>
  static RowVector<typename Row::Scalar> turned(const Row& y, typename Row::Scalar s) {
    const Index half = y.size() / 2;
    RowVector<typename Row::Scalar> t(y.size());
    t.head(half) = y.head(half) - s * y.tail(half);
    t.tail(half) = y.tail(half) + s * y.head(half);
    return t;
  }
};

}  // namespace embedpool
