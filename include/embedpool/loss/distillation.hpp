#pragma once
#include <cmath>
#include <vector>

#include "embedpool/loss/require_like.hpp"
#include "embedpool/loss/unit_rows.hpp"

namespace embedpool {

/// Distillation: the student's cosines over the candidates of a query should be distributed as a teacher's scores.
///
///   loss = mean_i KL( softmax(teacher_i / T) || softmax(scale cos(q_i, c_ij)) )       T divides the teacher only
///
/// Shapes  queries [B, D], candidates [B C, D], teacher [B, C] (-infinity rules a candidate out); adds to the gradients
/// Errors  ShapeError for parts that do not fit
struct DistillationKL {
  double scale = 20.0;
  double teacher_temperature = 1.0;

  template <Real S>
  double operator()(Rows<const S> queries, Rows<const S> candidates, Rows<const S> teacher, Rows<S> dqueries,
                    Rows<S> dcandidates) const {
    require_in("distillation", "queries", queries.rows, 1, Index(1) << 40);
    require_equal("distillation", "rows of teacher scores", teacher.rows, queries.rows);
    require_in("distillation", "candidates of a query", teacher.cols, 1, Index(1) << 40);
    require_equal("distillation", "candidates", candidates.rows, teacher.rows * teacher.cols);
    require_equal("distillation", "width of the candidates", candidates.cols, queries.cols);
    require_like("distillation", "the queries", dqueries, queries);
    require_like("distillation", "the candidates", dcandidates, candidates);
    UnitRows<S> q(queries), c(candidates);
    const Index count = teacher.cols;
    const double mean = 1.0 / static_cast<double>(queries.rows);
    double loss = 0.0;
    std::vector<double> student(static_cast<std::size_t>(count)), target(student.size());
    for (Index i = 0; i < queries.rows; ++i) {
      for (Index j = 0; j < count; ++j) {
        const auto k = static_cast<std::size_t>(j);
        student[k] = scale * static_cast<double>(as_eigen(q.units()).row(i).dot(as_eigen(c.units()).row(i * count + j)));
        target[k] = static_cast<double>(teacher(i, j)) / teacher_temperature;
      }
      to_log_softmax(student);
      to_log_softmax(target);
      for (Index j = 0; j < count; ++j) {
        const auto k = static_cast<std::size_t>(j);
        const double p = std::exp(target[k]);
        if (p > 0) loss += mean * p * (target[k] - student[k]);  // 0 log 0 = 0: a candidate that the teacher rules out
        const S ds = static_cast<S>(mean * scale * (std::exp(student[k]) - p));
        as_eigen(q.gradient()).row(i) += ds * as_eigen(c.units()).row(i * count + j);
        as_eigen(c.gradient()).row(i * count + j) += ds * as_eigen(q.units()).row(i);
      }
    }
    q.backward(dqueries);
    c.backward(dcandidates);
    return loss;
  }

 private:
  static void to_log_softmax(std::vector<double>& logits) {
    const double largest = *std::max_element(logits.begin(), logits.end());
    double sum = 0.0;
    for (const double logit : logits) sum += std::exp(logit - largest);
    for (double& logit : logits) logit -= largest + std::log(sum);
  }
};

}  // namespace embedpool
