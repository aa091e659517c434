#pragma once
#include <cmath>
#include <span>
#include <string>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/task_data.hpp"

namespace embedpool::detail {

/// What tasks refuse of data that a program made itself; data of files was checked by its reader, which names the line.

/// Throws ShapeError naming the task and the place unless all scores are numbers of a size whose squares add up: others
/// would make a correlation that is not defined, and such a one counts as 0.
inline void require_scores(const char* task, std::span<const double> scores) {
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (!(std::abs(scores[i]) < 1e100))
      throw ShapeError(std::string(task) + ": score " + std::to_string(i) + " is no number or too large");
}

/// Throws ShapeError naming the task unless there is a label in [0, labels) for each text.
inline void require_labels(const char* task, const LabelledTexts& data, Index labels) {
  require_equal(task, "labels", static_cast<Index>(data.labels.size()), static_cast<Index>(data.texts.size()));
  for (const Index label : data.labels) require_in(task, "label", label, 0, labels - 1);
}

/// Throws ShapeError naming the task unless each query has judgements, which are of documents that are there.
inline void require_judgements(const char* task, const RetrievalData& data) {
  require_equal(task, "lists of judgements", static_cast<Index>(data.judgements.size()), static_cast<Index>(data.queries.size()));
  for (const auto& of_query : data.judgements)
    for (const RetrievalData::Judgement& judgement : of_query)
      require_in(task, "judged document", judgement.document, 0, static_cast<Index>(data.documents.size()) - 1);
}

}  // namespace embedpool::detail
