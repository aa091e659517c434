#pragma once
#include <array>
#include <optional>
#include <string_view>

namespace embedpool {

/// The kinds of evaluation tasks, as MTEB divides them.
enum class TaskKind { sts, classification, clustering, pair_classification, reranking, retrieval, summarization, bitext };

inline constexpr std::array every_task_kind = {TaskKind::sts,       TaskKind::classification, TaskKind::clustering,
                                               TaskKind::pair_classification, TaskKind::reranking, TaskKind::retrieval,
                                               TaskKind::summarization, TaskKind::bitext};

/// The name of a kind, which is also that of the folder that its data sets lie in.
constexpr std::string_view name_of(TaskKind kind) noexcept {
  switch (kind) {
    case TaskKind::sts: return "sts";
    case TaskKind::classification: return "classification";
    case TaskKind::clustering: return "clustering";
    case TaskKind::pair_classification: return "pairclassification";
    case TaskKind::reranking: return "reranking";
    case TaskKind::retrieval: return "retrieval";
    case TaskKind::summarization: return "summarization";
    case TaskKind::bitext: return "bitext";
  }
  return "";
}

/// The kind of that name; none when there is no such kind.
constexpr std::optional<TaskKind> task_kind_of(std::string_view name) noexcept {
  for (const TaskKind kind : every_task_kind)
    if (name_of(kind) == name) return kind;
  return std::nullopt;
}

}  // namespace embedpool
