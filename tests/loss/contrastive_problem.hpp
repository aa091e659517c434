#pragma once
#include <doctest/doctest.h>

#include <vector>

#include "embedpool/loss/contrastive_batch.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "support/random_matrix.hpp"

namespace embedpool::test {

/// A contrastive batch with its gradients, owned.
struct ContrastiveProblem {
  Matrix<double> q, p, n;
  std::vector<std::int64_t> documents;
  std::vector<double> scores;
  Matrix<double> dq, dp, dn;

  ContrastiveProblem(Index queries, Index negatives, Index width, unsigned seed)
      : q(random_matrix(queries, width, seed)), p(random_matrix(queries, width, seed + 1)),
        n(random_matrix(queries * negatives, width, seed + 2)) {
    clear();
  }
  void clear() {
    dq = Matrix<double>::Zero(q.rows(), q.cols());
    dp = Matrix<double>::Zero(p.rows(), p.cols());
    dn = Matrix<double>::Zero(n.rows(), n.cols());
  }
  template <class Loss>
  double operator()(const Loss& loss) {
    const Matrix<double>&cq = q, &cp = p, &cn = n;
    return loss(ContrastiveBatch<double>{rows_of(cq), rows_of(cp), rows_of(cn), documents, 0, scores},
                ContrastiveGradients<double>{rows_of(dq), rows_of(dp), rows_of(dn)});
  }
};

template <class Loss>
void check_gradients(const Loss& loss, ContrastiveProblem problem) {
  problem.clear();
  problem(loss);
  const Matrix<double> dq = problem.dq, dp = problem.dp, dn = problem.dn;
  auto value = [&] { return problem(loss); };
  // Error of the difference quotient: step^2 + epsilon / step, about 1e-10, times the third derivative (scale^3).
  CHECK(testing::relative_error(dq, testing::numeric_gradient(problem.q, value)) < 1e-6);
  CHECK(testing::relative_error(dp, testing::numeric_gradient(problem.p, value)) < 1e-6);
  if (problem.n.rows() > 0) CHECK(testing::relative_error(dn, testing::numeric_gradient(problem.n, value)) < 1e-6);
}

}  // namespace embedpool::test
