#pragma once
#include <string>
#include <vector>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// The data of evaluation tasks in memory, one type a kind. How they lie in files: io/task_data/.

/// Semantic textual similarity: pairs of sentences and how alike people find them.
struct StsData {
  struct Pair {
    std::string first, second;
    double score;
  };
  std::vector<Pair> pairs;
};

/// Texts and the numbers of their labels, from 0.
struct LabelledTexts {
  std::vector<std::string> texts;
  std::vector<Index> labels;
};

/// Classification: at least two labels occur in `train`, and `test` has no others.
struct ClassificationData {
  std::vector<std::string> label_names;
  LabelledTexts train, test;
};

/// Clustering: each set is clustered for itself, and has more texts than labels, of which there are two or more.
struct ClusteringData {
  std::vector<LabelledTexts> sets;
};

/// Pair classification: 1 for pairs that mean the same, 0 for others; both occur.
struct PairClassificationData {
  struct Pair {
    std::string first, second;
    int label;
  };
  std::vector<Pair> pairs;
};

/// Reranking: a query, in one or several wordings, and candidates that answer it or do not; each list has a text.
struct RerankingData {
  struct Query {
    std::vector<std::string> wordings;
    std::vector<std::string> positives, negatives;
  };
  std::vector<Query> queries;
  Index left_out = 0;  ///< queries of the file without positives or without negatives, which MTEB leaves out
};

/// Retrieval: queries, documents, and for each query at least one judgement.
struct RetrievalData {
  struct Text {
    std::string id, text;
  };
  struct Judgement {
    Index document;
    int grade;  ///< above 0: relevant
  };
  std::vector<Text> documents, queries;
  std::vector<std::vector<Judgement>> judgements;  ///< of each query
};

/// Summarization: machine summaries of articles, rated by people, beside summaries that people wrote.
struct SummarizationData {
  struct Article {
    std::vector<std::string> human, machine;
    std::vector<double> relevance;  ///< of each machine summary
  };
  std::vector<Article> articles;
};

/// Bitext mining: sentence i of one language is translated by sentence i of the other.
struct BitextData {
  std::vector<std::string> first, second;
};

}  // namespace embedpool
