#pragma once
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/core/rows.hpp"

namespace embedpool {

/// What a task says about embeddings. All metrics are finite, in [0, 1] or [-1, 1], and larger is better.
struct TaskResult {
  std::string main_metric;                              ///< the name of the one that counts
  std::vector<std::pair<std::string, double>> metrics;  ///< with their names, as MTEB has them
  /// Scores of single items (queries, pairs, texts ...), in the order of the data: what paired tests and bootstraps of
  /// two models on one data set compare. Their mean is the metric `item_metric`, but for what the task says.
  std::vector<double> item_scores;
  std::string item_metric;
  std::string item;  ///< what an item is, in the singular

  /// Errors  ShapeError when there is no metric of that name
  double metric(const std::string& name) const {
    for (const auto& entry : metrics)
      if (entry.first == name) return entry.second;
    throw ShapeError("TaskResult: there is no metric '" + name + "'");
  }
  double main() const { return metric(main_metric); }
};

namespace detail {

/// Throws ShapeError naming the task unless all these rows are there and finite: no task scores what is not a number.
inline void require_embeddings(const char* task, Rows<const float> embeddings, std::span<const Index> rows) {
  for (const Index row : rows) {
    require_in(task, "row of a text", row, 0, embeddings.rows - 1);
    for (const float value : embeddings.row(row))
      if (!std::isfinite(value))
        throw ShapeError(std::string(task) + ": the embedding of text " + std::to_string(row) + " is not finite");
  }
}

/// A correlation that is not defined, because one side never varies, tells nothing: 0.
inline double defined_or_zero(double value) noexcept { return std::isnan(value) ? 0 : value; }

}  // namespace detail

}  // namespace embedpool
