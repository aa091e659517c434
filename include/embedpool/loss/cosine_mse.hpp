#pragma once
#include "embedpool/loss/require_pairs.hpp"
#include "embedpool/loss/unit_rows.hpp"

namespace embedpool {

/// The cosine of a pair should equal its score: loss = mean_i (cos(a_i, b_i) - y_i)^2.
///
/// Shapes  a, b, da, db [P, D]; labels [P] in [-1, 1]; adds to da and db
/// Errors  ShapeError for parts that do not fit
/// Source  arXiv 1908.10084, regression objective
struct CosineMSE {
  template <Real S>
  double operator()(Rows<const S> a, Rows<const S> b, std::span<const double> labels, Rows<S> da, Rows<S> db) const {
    require_pairs("cosine MSE", a, b, labels, da, db);
    UnitRows<S> u(a), v(b);
    const double mean = 1.0 / static_cast<double>(a.rows);
    double loss = 0.0;
    for (Index i = 0; i < a.rows; ++i) {
      const auto units_a = as_eigen(u.units()).row(i);
      const auto units_b = as_eigen(v.units()).row(i);
      const double error = static_cast<double>(units_a.dot(units_b)) - labels[static_cast<std::size_t>(i)];
      loss += mean * error * error;
      const S ds = static_cast<S>(2.0 * mean * error);
      as_eigen(u.gradient()).row(i) = ds * units_b;
      as_eigen(v.gradient()).row(i) = ds * units_a;
    }
    u.backward(da);
    v.backward(db);
    return loss;
  }
};

}  // namespace embedpool
