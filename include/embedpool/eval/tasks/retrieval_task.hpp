#pragma once
#include <map>
#include <numeric>
#include <unordered_map>

#include "embedpool/eval/metrics/mean_of.hpp"
#include "embedpool/eval/metrics/ranking.hpp"
#include "embedpool/eval/nearest_neighbours.hpp"
#include "embedpool/eval/task_data.hpp"
#include "embedpool/eval/tasks/require_data.hpp"
#include "embedpool/eval/tasks/task_result.hpp"
#include "embedpool/eval/tasks/text_table.hpp"
#include "embedpool/eval/unit_rows_of.hpp"

namespace embedpool {

struct RetrievalOptions {
  Index depth = 1000;  ///< documents found for a query
  /// Whether a document is no answer to a query of the same id, as in all tasks of MTEB's first version; later ones say
  /// so for ArguAna and few others.
  bool ignore_identical_ids = true;
};

/// Retrieval: are the documents that answer a query nearest to it, among all?
///
///   main  ndcg_at_10, gain = grade; beside it ndcg, map, recall, precision and mrr at several depths
///
/// By cosine, exact, over the whole corpus. Equal scores rank by falling document id, as in trec_eval. A document without text
/// is never found; where it is judged relevant, it is missed. Items are queries: their nDCG at 10.
/// Source  MTEB, RetrievalEvaluator with pytrec_eval
class RetrievalTask {
 public:
  /// Errors  ShapeError when a query has no list of judgements, or judges a document that is not there; no document has text
  RetrievalTask(const RetrievalData& data, TextTable& table, const RetrievalOptions& options = {}) : options_(options) {
    detail::require_judgements("RetrievalTask", data);
    // The corpus in the order of falling ids, so that the lower row is the one that wins a tie; behind it what has no text,
    // so that its places are judged but never found.
    const auto n = data.documents.size();
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const RetrievalData::Text &x = data.documents[a], &y = data.documents[b];
      return std::pair(x.text.empty(), y.id) < std::pair(y.text.empty(), x.id);
    });
    std::vector<Index> place(n);
    std::unordered_map<std::string_view, Index> place_of_id;
    for (std::size_t i = 0; i < n; ++i) {
      place[order[i]] = static_cast<Index>(i);
      const RetrievalData::Text& document = data.documents[order[i]];
      if (!document.text.empty()) documents_.push_back(table.add(document.text, TextRole::document));
      place_of_id.emplace(document.id, static_cast<Index>(i));
    }
    if (documents_.empty()) throw ShapeError("RetrievalTask: no document has text");
    for (std::size_t q = 0; q < data.queries.size(); ++q) {
      queries_.push_back(table.add(data.queries[q].text, TextRole::query));
      const auto same = place_of_id.find(data.queries[q].id);
      same_id_.push_back(same == place_of_id.end() ? -1 : same->second);
      judgements_.emplace_back();
      for (const RetrievalData::Judgement& judgement : data.judgements[q])
        judgements_.back()[place[static_cast<std::size_t>(judgement.document)]] = judgement.grade;
    }
  }

  /// Shapes  embeddings [rows of the table, D]
  /// Order   bits do not depend on the executor
  /// Errors  ShapeError when a row is missing or not finite
  TaskResult evaluate(Rows<const float> embeddings, ExecutorRef executor) const {
    detail::require_embeddings("RetrievalTask", embeddings, documents_);
    detail::require_embeddings("RetrievalTask", embeddings, queries_);
    const Matrix<float> queries = unit_rows_of(embeddings, queries_), corpus = unit_rows_of(embeddings, documents_);
    const std::span<const Index> excluded = options_.ignore_identical_ids ? std::span(same_id_) : std::span<const Index>();
    const auto found = nearest_neighbours(rows_of(queries), rows_of(corpus), options_.depth, executor, excluded);
    std::vector<std::pair<std::string, std::vector<double>>> scores;
    for (std::size_t q = 0; q < found.size(); ++q) {
      std::vector<int> ranked, judged;
      for (const Neighbour& neighbour : found[q]) {
        const auto grade = judgements_[q].find(neighbour.row);
        ranked.push_back(grade == judgements_[q].end() ? 0 : grade->second);
      }
      for (const auto& judgement : judgements_[q]) judged.push_back(judgement.second);
      std::size_t next = 0;
      using Depths = std::initializer_list<std::size_t>;
      const auto add = [&](const char* name, std::size_t k, double score) {
        if (scores.size() == next) scores.emplace_back(name + std::string("_at_") + std::to_string(k), std::vector<double>());
        scores[next++].second.push_back(score);
      };
      const RankedGrades answer{ranked, judged};
      for (const std::size_t k : Depths{10, 1, 3, 5, 100}) add("ndcg", k, ndcg_at(answer, k));
      for (const std::size_t k : Depths{10, 100, 1000}) add("map", k, ranked_average_precision(answer, k));
      for (const std::size_t k : Depths{1, 5, 10, 100, 1000}) add("recall", k, recall_at(answer, k));
      for (const std::size_t k : Depths{1, 5, 10}) add("precision", k, precision_at(answer, k));
      add("mrr", 10, reciprocal_rank_at(answer, 10));
    }
    TaskResult result{"ndcg_at_10", {}, scores.front().second, "ndcg_at_10", "query"};
    for (const auto& entry : scores) result.metrics.emplace_back(entry.first, mean_of(entry.second));
    return result;
  }

 private:
  RetrievalOptions options_;
  std::vector<Index> documents_{}, queries_{};       ///< rows of the table; of documents without text none
  std::vector<Index> same_id_{};                     ///< of each query, the place of the document of its id
  std::vector<std::map<Index, int>> judgements_{};   ///< of each query, by place of the document
};

}  // namespace embedpool
