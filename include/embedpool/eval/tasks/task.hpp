#pragma once
#include <variant>

#include "embedpool/eval/task_kind.hpp"
#include "embedpool/eval/tasks/bitext_task.hpp"
#include "embedpool/eval/tasks/classification_task.hpp"
#include "embedpool/eval/tasks/clustering_task.hpp"
#include "embedpool/eval/tasks/pair_classification_task.hpp"
#include "embedpool/eval/tasks/reranking_task.hpp"
#include "embedpool/eval/tasks/retrieval_task.hpp"
#include "embedpool/eval/tasks/sts_task.hpp"
#include "embedpool/eval/tasks/summarization_task.hpp"

namespace embedpool {

/// A task of any kind: texts that it added to a TextTable, and what it makes of their embeddings. The alternatives stand
/// in the order of TaskKind.
class Task {
 public:
  using Any = std::variant<StsTask, ClassificationTask, ClusteringTask, PairClassificationTask, RerankingTask,
                           RetrievalTask, SummarizationTask, BitextTask>;

  template <class T>
  requires std::constructible_from<Any, T> Task(T task)
  noexcept : task_(std::move(task)) {}

  TaskKind kind() const noexcept { return every_task_kind[task_.index()]; }

  /// Scores the embeddings of all texts of the table that the task was made with.
  ///
  /// Shapes  embeddings [rows of the table, D]
  /// Errors  ShapeError when a row of the task is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef executor) const {
    return std::visit([&](const auto& task) { return task.evaluate(embeddings, executor); }, task_);
  }

 private:
  Any task_;
};

/// Options of the kinds that have some, and how much of a data set is used.
struct TaskOptions {
  Index most_items = 0;  ///< of a data set, as sample_items() chooses them; 0: all, as MTEB does
  ClassificationOptions classification{};
  ClusteringOptions clustering{};
  RetrievalOptions retrieval{};
};

}  // namespace embedpool
