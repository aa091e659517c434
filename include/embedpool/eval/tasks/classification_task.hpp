#pragma once
#include "embedpool/eval/learn/few_shot_sample.hpp"
#include "embedpool/eval/learn/logistic_regression.hpp"
#include "embedpool/eval/metrics/classification_scores.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/require_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"

namespace embedpool {

/// MTEB's defaults.
struct ClassificationOptions {
  Index rounds = 10;
  Index samples_per_label = 8;
  std::uint32_t seed = 42;
  LogisticRegressionOptions regression{};
};

/// How many samples a label MTEB takes on a data set, by the beginning of its name.
inline Index mteb_samples_per_label(std::string_view data_set) noexcept {
  if (data_set.starts_with("AmazonCounterfactual") || data_set.starts_with("TweetSentimentExtraction")) return 32;
  if (data_set.starts_with("Emotion") || data_set.starts_with("ToxicConversations")) return 16;
  return 8;
}

/// Classification: how well logistic regression on few samples of each label classifies the test texts, on average over
/// rounds of other samples. Embeddings are taken as they are, neither normalised nor standardised.
///
///   main  accuracy; beside it f1 (macro) and f1_weighted; with two classes ap, from predicted labels as in MTEB
///
/// Only the samples of the rounds need embeddings, not the whole training set. Items are test texts: the share of rounds
/// that classify the text right.
/// Source  MTEB, AbsTaskClassification with method logReg, in the form of version 2 (FewShotSampler says why)
class ClassificationTask {
 public:
  /// Errors  ShapeError when options are out of range, a text has no label, or one that has no name
  ClassificationTask(const ClassificationData& data, TextTable& table, const ClassificationOptions& options = {})
      : options_(options), classes_(static_cast<Index>(data.label_names.size())), test_labels_(data.test.labels) {
    require_in("ClassificationTask", "rounds", options.rounds, 1, 1'000'000);
    require_in("ClassificationTask", "samples per label", options.samples_per_label, 1, Index(1) << 32);
    detail::require_labels("ClassificationTask", data.train, classes_);
    detail::require_labels("ClassificationTask", data.test, classes_);
    FewShotSampler sampler(data.train.labels, options.samples_per_label, options.seed);
    for (Index r = 0; r < options.rounds; ++r) {
      Round round;
      for (const Index i : sampler.next()) {
        round.rows.push_back(table.add(data.train.texts[static_cast<std::size_t>(i)], TextRole::query));
        round.labels.push_back(data.train.labels[static_cast<std::size_t>(i)]);
      }
      rounds_.push_back(std::move(round));
    }
    for (const std::string& text : data.test.texts) test_rows_.push_back(table.add(text, TextRole::query));
  }

  /// Shapes  embeddings [rows of the table, D]
  /// Order   bits do not depend on the executor
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef executor) const {
    detail::require_embeddings("ClassificationTask", embeddings, test_rows_);
    const Matrix<float> test = gathered(embeddings, test_rows_);
    TaskResult result{"accuracy", {}, std::vector<double>(test_rows_.size()), "accuracy", "text"};
    ClassificationScores mean;
    double ap = 0;
    const double rounds = static_cast<double>(rounds_.size());
    for (const Round& round : rounds_) {
      detail::require_embeddings("ClassificationTask", embeddings, round.rows);
      const Matrix<float> train = gathered(embeddings, round.rows);
      const auto model = LogisticRegression<float>::fit(rows_of(train), round.labels, classes_, executor, options_.regression);
      const std::vector<Index> predicted = model.predict(rows_of(test), executor);
      const ClassificationScores scores = classification_scores(test_labels_, predicted);
      mean.accuracy += scores.accuracy / rounds;
      mean.macro_f1 += scores.macro_f1 / rounds;
      mean.weighted_f1 += scores.weighted_f1 / rounds;
      if (has_ap()) ap += average_precision_of_predictions(test_labels_, predicted) / rounds;
      for (std::size_t i = 0; i < predicted.size(); ++i)
        result.item_scores[i] += (predicted[i] == test_labels_[i] ? 1 : 0) / rounds;
    }
    result.metrics = {{"accuracy", mean.accuracy}, {"f1", mean.macro_f1}, {"f1_weighted", mean.weighted_f1}};
    if (has_ap()) result.metrics.emplace_back("ap", ap);
    return result;
  }

 private:
  struct Round {
    std::vector<Index> rows, labels;
  };
  bool has_ap() const noexcept {
    return classes_ == 2 && std::find(test_labels_.begin(), test_labels_.end(), 1) != test_labels_.end();
  }
  static Matrix<float> gathered(Rows<const float> embeddings, const std::vector<Index>& rows) {
    Matrix<float> chosen(static_cast<Index>(rows.size()), embeddings.cols);
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::copy_n(embeddings.row_data(rows[i]), embeddings.cols, chosen.data() + static_cast<Index>(i) * embeddings.cols);
    return chosen;
  }

  ClassificationOptions options_;
  Index classes_;
  std::vector<Round> rounds_;
  std::vector<Index> test_rows_, test_labels_;
};

}  // namespace embedpool
