#pragma once
#include <algorithm>
#include <vector>

#include "embedpool/eval/sample/sample_items.hpp"
#include "embedpool/eval/tasks/task.hpp"
#include "embedpool/io/task_data/read_bitext.hpp"
#include "embedpool/io/task_data/read_classification.hpp"
#include "embedpool/io/task_data/read_clustering.hpp"
#include "embedpool/io/task_data/read_pair_classification.hpp"
#include "embedpool/io/task_data/read_reranking.hpp"
#include "embedpool/io/task_data/read_retrieval.hpp"
#include "embedpool/io/task_data/read_sts.hpp"
#include "embedpool/io/task_data/read_summarization.hpp"

namespace embedpool::io {

/// A data set on disk, not yet read.
struct TaskFolder {
  TaskKind kind;
  std::string name;  ///< of the folder
  std::filesystem::path directory;
  std::string split;  ///< "test", or "dev" where there is no test
};

namespace detail {

inline bool has_split(TaskKind kind, const std::filesystem::path& directory, const std::string& split) {
  if (kind == TaskKind::retrieval)
    return has_data_file(directory, "qrels/" + split + ".tsv") || has_data_file(directory, "qrels-" + split + ".tsv");
  return has_data_file(directory, split + ".tsv") || has_data_file(directory, split + ".jsonl");
}

inline TaskFolder task_folder(TaskKind kind, const std::filesystem::path& directory) {
  const bool has_dev_only = !has_split(kind, directory, "test") && has_split(kind, directory, "dev");
  const std::filesystem::path whole = std::filesystem::absolute(directory).lexically_normal();  // "." has a name, too
  const std::string name = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
  return {kind, name, directory, has_dev_only ? "dev" : "test"};
}

/// Rounds of few-shot training on a sample of a data set: as many as train on ten texts an item of the sample, all together;
/// else 150 labels would have thousands of texts embedded, whatever the sample.
inline Index rounds_on_sample(Index labels, const TaskOptions& options) {
  const Index texts_a_round = std::max<Index>(1, labels * options.classification.samples_per_label);
  return std::clamp<Index>(10 * options.most_items / texts_a_round, 1, options.classification.rounds);
}

}  // namespace detail

/// The data sets below a directory: KIND/NAME/ for every kind, in the order of kinds and of names; or the directory
/// itself, where it holds a corpus in the BEIR layout.
///
/// Errors  FileError when the directory is not there, or holds no data set
inline std::vector<TaskFolder> find_tasks(const std::filesystem::path& root) {
  if (!std::filesystem::is_directory(root)) throw FileError(root.string(), "", "is no directory");
  std::vector<TaskFolder> tasks;
  if (has_data_file(root, "corpus.jsonl")) tasks.push_back(detail::task_folder(TaskKind::retrieval, root));
  for (const TaskKind kind : every_task_kind) {
    const std::filesystem::path folder = root / name_of(kind);
    if (!std::filesystem::is_directory(folder)) continue;
    std::vector<std::filesystem::path> sets;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.is_directory()) sets.push_back(entry.path());
    std::sort(sets.begin(), sets.end());
    for (const auto& set : sets) tasks.push_back(detail::task_folder(kind, set));
  }
  if (tasks.empty())
    throw FileError(root.string(), "", "holds no data set: neither folders like sts/NAME or retrieval/NAME nor corpus.jsonl");
  return tasks;
}

/// Reads a data set and makes its task of at most `options.most_items` of its items, whose texts are added to the table.
/// With samples_per_label 0 a classification takes as many as MTEB does on a set of that name. On a sample it trains fewer
/// rounds, so that at most ten texts an item are trained on, but one round at least.
///
/// Errors  FileError as the readers throw it; ShapeError when options do not fit the data
inline Task read_task(const TaskFolder& folder, TextTable& table, TaskOptions options = {}) {
  const auto data = [&](auto read) { return sample_items(read(folder.directory, folder.split), options.most_items); };
  switch (folder.kind) {
    case TaskKind::sts: return StsTask(data(read_sts), table);
    case TaskKind::classification: {
      const ClassificationData texts = data(read_classification);
      if (options.classification.samples_per_label == 0)
        options.classification.samples_per_label = mteb_samples_per_label(folder.name);
      if (options.most_items > 0)
        options.classification.rounds =
            detail::rounds_on_sample(static_cast<Index>(texts.label_names.size()), options);
      return ClassificationTask(texts, table, options.classification);
    }
    case TaskKind::clustering: return ClusteringTask(data(read_clustering), table, options.clustering);
    case TaskKind::pair_classification: return PairClassificationTask(data(read_pair_classification), table);
    case TaskKind::reranking: return RerankingTask(data(read_reranking), table);
    case TaskKind::retrieval: return RetrievalTask(data(read_retrieval), table, options.retrieval);
    case TaskKind::summarization: return SummarizationTask(data(read_summarization), table);
    case TaskKind::bitext: break;
  }
  return BitextTask(data(read_bitext), table);
}

}  // namespace embedpool::io
