#pragma once
#include "embedpool/eval/learn/mini_batch_k_means.hpp"
#include "embedpool/eval/learn/python_sample.hpp"
#include "embedpool/eval/metrics/mean_of.hpp"
#include "embedpool/eval/metrics/v_measure.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"

namespace embedpool {

/// Which texts of a set are clustered.
struct ClusteringOptions {
  Index documents = 0;      ///< texts that are sampled of each set and embedded; 0: by `fraction`
  double fraction = 1;      ///< share of each set that is sampled, 1: all of it, in its order
  Index draws = 0;          ///< clusterings of each set, of texts drawn with replacement; 0: one, of all sampled texts
  Index draw_size = 16384;  ///< texts of a draw
  MiniBatchKMeansOptions k_means{};

  /// MTEB's first clustering tasks: each set once, as a whole.
  static ClusteringOptions mteb_v1() { return {}; }

  /// MTEB's fast clustering tasks (.v2): 4 % of the texts, ten draws of 16384 of them, batches of 512. `documents` of a
  /// data set's own takes the place of the 4 %.
  static ClusteringOptions mteb_fast(Index documents = 0) {
    ClusteringOptions options;
    options.documents = documents;
    options.fraction = 0.04;
    options.draws = 10;
    options.k_means.batch_size = 512;
    return options;
  }
};

/// Clustering: how well clusters of the embeddings, as many as there are labels, agree with the labels.
///
///   main  v_measure, the mean over sets and draws; beside it homogeneity and completeness
///
/// Mini-batch k-means of raw embeddings by Euclidean distance. Samples and draws are those of Python's random.Random with
/// the seed, as in MTEB, and only sampled texts need embeddings. Items are clusterings (a draw, or a set).
/// Source  MTEB, AbsTaskClustering and AbsTaskClusteringFast
class ClusteringTask {
 public:
  /// Errors  ShapeError when a text has no label, or a sample no more texts than labels
  ClusteringTask(const ClusteringData& data, TextTable& table, const ClusteringOptions& options = {}) : options_(options) {
    for (std::size_t s = 0; s < data.sets.size(); ++s) {
      const LabelledTexts& all = data.sets[s];
      require_equal("ClusteringTask", "labels", static_cast<Index>(all.labels.size()), static_cast<Index>(all.texts.size()));
      const auto n = static_cast<Index>(all.texts.size());
      Index wanted = options.documents;
      if (wanted == 0) wanted = static_cast<Index>(options.fraction * static_cast<double>(n));
      MersenneTwister random = MersenneTwister::python(options.k_means.seed);
      std::vector<Index> chosen(static_cast<std::size_t>(n));
      std::iota(chosen.begin(), chosen.end(), Index(0));
      if (wanted < n) chosen = python_sample(random, n, wanted);
      Set set;
      std::map<Index, Index> numbers;
      for (const Index i : chosen) {
        set.rows.push_back(table.add(all.texts[static_cast<std::size_t>(i)], TextRole::query));
        const Index label = all.labels[static_cast<std::size_t>(i)];
        set.labels.push_back(numbers.emplace(label, static_cast<Index>(numbers.size())).first->second);
      }
      set.clusters = static_cast<Index>(numbers.size());
      if (set.clusters >= static_cast<Index>(chosen.size()))
        throw ShapeError("ClusteringTask: the sample of set " + std::to_string(s) + " has " + std::to_string(chosen.size()) +
                         " texts for " + std::to_string(set.clusters) + " clusters: sample more");
      for (Index draw = 0; draw < options.draws; ++draw)
        set.draws.push_back(python_choices(random, static_cast<Index>(chosen.size()), options.draw_size));
      sets_.push_back(std::move(set));
    }
  }

  /// Shapes  embeddings [rows of the table, D]
  /// Order   bits do not depend on the executor
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef executor) const {
    TaskResult result{"v_measure", {}, {}, "v_measure", "clustering"};
    std::vector<double> homogeneity, completeness;
    const auto cluster = [&](const Set& set, const std::vector<Index>* draw) {
      const std::size_t n = draw != nullptr ? draw->size() : set.rows.size();
      std::vector<Index> rows(n), labels(n);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t at = draw != nullptr ? static_cast<std::size_t>((*draw)[i]) : i;
        rows[i] = set.rows[at];
        labels[i] = set.labels[at];
      }
      const Matrix<float> x = detail::rows_at(embeddings, rows);
      const Clustering clusters = mini_batch_k_means(rows_of(x), std::min(set.clusters, x.rows()), executor, options_.k_means);
      const VMeasure v = v_measure(labels, clusters.assignment.centre);
      result.item_scores.push_back(v.v_measure);
      homogeneity.push_back(v.homogeneity);
      completeness.push_back(v.completeness);
    };
    for (const Set& set : sets_) {
      detail::require_embeddings("ClusteringTask", embeddings, set.rows);
      if (set.draws.empty()) cluster(set, nullptr);
      for (const std::vector<Index>& draw : set.draws) cluster(set, &draw);
    }
    result.metrics = {{"v_measure", mean_of(result.item_scores)}, {"homogeneity", mean_of(homogeneity)},
                      {"completeness", mean_of(completeness)}};
    return result;
  }

 private:
  struct Set {
    std::vector<Index> rows, labels;
    Index clusters = 0;
    std::vector<std::vector<Index>> draws;  ///< positions in rows
  };
  ClusteringOptions options_;
  std::vector<Set> sets_{};
};

}  // namespace embedpool
