#pragma once
#include <cmath>

#include "embedpool/core/matrix.hpp"

namespace embedpool {

/// AdamW with decoupled weight decay.
///
///   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   w = w - rate decay w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)          t = 1, 2, ...
///
/// The caller keeps the moments, in the same Params type as the parameters, cleared to zero at the start.
/// Source  arXiv 1711.05101; the order of operations is that of torch.optim.AdamW
struct AdamW {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;

  /// One step number `step` (from 1) on one tensor.
  template <Real S>
  void update(Matrix<S>& w, const Matrix<S>& gradient, Matrix<S>& m, Matrix<S>& v, Index step, double rate,
              double decay) const {
    const auto b1 = static_cast<S>(beta1), b2 = static_cast<S>(beta2);
    const double correction1 = 1.0 - std::pow(beta1, static_cast<double>(step));
    const double correction2 = 1.0 - std::pow(beta2, static_cast<double>(step));
    m = b1 * m + (S(1) - b1) * gradient;
    v = b2 * v + (S(1) - b2) * gradient.cwiseProduct(gradient);
    w *= static_cast<S>(1.0 - rate * decay);
    const auto root = (v.array() * static_cast<S>(1.0 / correction2)).sqrt() + static_cast<S>(epsilon);
    w.array() -= static_cast<S>(rate / correction1) * m.array() / root;
  }
};

}  // namespace embedpool
