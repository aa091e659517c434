#pragma once
#include <algorithm>
#include <cmath>

#include "embedpool/core/serial_products.hpp"
#include "embedpool/loss/require_like.hpp"
#include "embedpool/loss/unit_rows.hpp"

namespace embedpool {

/// Distillation of similarities: to each text the others should be as alike as a teacher finds them.
///
///   loss = mean_i KL( softmax_{j != i}(scale cos(t_i, t_j)) || softmax_{j != i}(scale cos(x_i, x_j)) )
///
/// Only similarities are compared, so the teacher's vectors may have any width. The loss is 0 where every row of cosines is
/// the teacher's but for a constant. The [N, N] similarities are never resident: rows are taken in blocks.
///
/// Shapes  x, dx [N, D]; teacher [N, T]; adds to dx. A lone text has no others: loss 0
/// Cost    2 N^2 (T + 3 D) operations, scratch [64, N]; sequential, so the result depends on the batch alone
/// Errors  ShapeError for parts that do not fit
/// Source  in-batch similarities as in SEED, arXiv 2101.04731, section 3.2, and relative similarity distillation of text
///         embeddings, arXiv 2412.19048
struct SimilarityDistillation {
  double scale = 20.0;

  template <Real S>
  double operator()(Rows<const S> x, Rows<const S> teacher, Rows<S> dx) const {
    require_equal("similarity distillation", "rows of the teacher", teacher.rows, x.rows);
    require_like("similarity distillation", "the texts", dx, x);
    constexpr Index block = 64;
    const SerialProducts same_bits_for_any_threads;
    UnitRows<S> student(x);
    const UnitRows<S> taught(teacher);
    const auto u = as_eigen(student.units()), t = as_eigen(taught.units());
    auto du = as_eigen(student.gradient());
    double loss = 0.0;
    if (x.rows < 2) return loss;
    const double mean = 1.0 / static_cast<double>(x.rows);
    Matrix<S> q, p;  // cosines of a block of rows, the student's and the teacher's; then q is the student's derivatives
    for (Index first = 0; first < x.rows; first += block) {
      const Index count = std::min(block, x.rows - first);
      q.noalias() = u.middleRows(first, count) * u.transpose();
      p.noalias() = t.middleRows(first, count) * t.transpose();
      for (Index i = 0; i < count; ++i) loss += mean * to_gradient(q, p, i, first + i, mean);
      du.middleRows(first, count).noalias() += q * u;
      du.noalias() += q.transpose() * u.middleRows(first, count);
    }
    student.backward(dx);
    return loss;
  }

 private:
  /// The divergence of a row of cosines from the teacher's, whose own place is no term; the row becomes its derivatives
  /// times `weight`.
  template <Real S>
  double to_gradient(Matrix<S>& cosines, const Matrix<S>& teacher, Index row, Index own, double weight) const {
    const double student_norm = log_sum(cosines, row, own), teacher_norm = log_sum(teacher, row, own);
    double divergence = 0.0;
    for (Index j = 0; j < cosines.cols(); ++j) {
      if (j == own) continue;
      const double log_q = scale * static_cast<double>(cosines(row, j)) - student_norm;
      const double log_p = scale * static_cast<double>(teacher(row, j)) - teacher_norm;
      const double p = std::exp(log_p);
      divergence += p * (log_p - log_q);
      cosines(row, j) = static_cast<S>(weight * scale * (std::exp(log_q) - p));
    }
    cosines(row, own) = S(0);
    return divergence;
  }

  /// Logarithm of the sum of exp(scale cosine) over all places but one. The largest is taken out: no scale overflows.
  template <Real S>
  double log_sum(const Matrix<S>& cosines, Index row, Index own) const {
    double largest = -2.0, sum = 0.0;  // below any cosine
    for (Index j = 0; j < cosines.cols(); ++j)
      if (j != own) largest = std::max(largest, static_cast<double>(cosines(row, j)));
    for (Index j = 0; j < cosines.cols(); ++j)
      if (j != own) sum += std::exp(scale * (static_cast<double>(cosines(row, j)) - largest));
    return scale * largest + std::log(sum);
  }
};

}  // namespace embedpool
