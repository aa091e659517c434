#pragma once
#include <algorithm>
#include <utility>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/executor_ref.hpp"
#include "embedpool/core/matrix.hpp"
#include "embedpool/eval/learn/lbfgs.hpp"
#include "embedpool/eval/learn/logistic_loss.hpp"
#include "embedpool/kernels/gemm.hpp"

namespace embedpool {

struct LogisticRegressionOptions {
  double c = 1;  ///< inverse strength of the penalty
  LbfgsOptions optimiser{};
};

/// A linear classifier with an intercept, fitted by logistic regression with an L2 penalty.
///
///   minimise  (1 / n) sum over i of loss_i  +  |W|^2 / (2 C n)
///   loss_i = log sum_k exp(z_ik) - z_iy       z = x W^T + b       three classes and more: softmax, [K, D] coefficients
///   loss_i = log(1 + exp(z_i)) - y z_i                            two classes: [1, D]
///
/// The intercept is not penalised; embeddings are neither scaled nor centred. Starts from zero and stops as LbfgsOptions
/// say, by default after at most 100 iterations, so that the result may be short of the minimum: parity with MTEB needs
/// the same cut. Products are in S, as scikit-learn computes them in the type of its input; all else is in double.
/// Source  scikit-learn's LogisticRegression(solver="lbfgs"), whose objective this is
template <Real S>
struct LogisticRegression {
  Matrix<double> coefficients;  ///< [K, D], or [1, D] of class 1 against class 0
  std::vector<double> intercept;
  LbfgsResult fit_result;

  /// Shapes  x [n, D]; labels [n] in [0, classes)
  /// Order   bits do not depend on the executor
  /// Errors  ShapeError when shapes differ, classes < 2, a label is out of range or x holds no row
  static LogisticRegression fit(Rows<const S> x, std::span<const Index> labels, Index classes, ExecutorRef executor,
                                const LogisticRegressionOptions& options = {}) {
    require_equal("LogisticRegression", "labels", static_cast<Index>(labels.size()), x.rows);
    if (x.rows < 1) throw ShapeError("LogisticRegression: needs at least one row");
    require_in("LogisticRegression", "classes", classes, 2, Index(1) << 24);
    for (const Index label : labels) require_in("LogisticRegression", "label", label, 0, classes - 1);
    const Index outputs = classes == 2 ? 1 : classes;
    LogisticLoss<S> loss(x, labels, outputs, options.c, executor);
    std::vector<double> parameters(static_cast<std::size_t>(outputs * (x.cols + 1)));
    LogisticRegression model;
    model.fit_result = minimise_lbfgs(parameters, options.optimiser, loss);
    model.coefficients = Eigen::Map<Matrix<double>>(parameters.data(), outputs, x.cols);
    model.intercept.assign(parameters.begin() + outputs * x.cols, parameters.end());
    return model;
  }

  /// The class of each row: the largest z, of equal ones the first; with two classes 1 where z > 0.
  std::vector<Index> predict(Rows<const S> x, ExecutorRef executor) const {
    require_equal("LogisticRegression", "columns", x.cols, coefficients.cols());
    const Matrix<S> w = coefficients.template cast<S>();
    Matrix<S> z(x.rows, w.rows());
    gemm_nt(x, weight_view(rows_of(w)), StoreTo<S>{rows_of(z)}, executor);
    std::vector<Index> classes(static_cast<std::size_t>(x.rows));
    for (Index i = 0; i < x.rows; ++i) {
      double best = 0;
      Index found = 0;
      for (Index k = 0; k < w.rows(); ++k) {
        const double value = static_cast<double>(z(i, k)) + intercept[static_cast<std::size_t>(k)];
        if (w.rows() == 1) found = value > 0 ? 1 : 0;
        else if (k == 0 || value > best) best = value, found = k;
      }
      classes[static_cast<std::size_t>(i)] = found;
    }
    return classes;
  }
};

}  // namespace embedpool
