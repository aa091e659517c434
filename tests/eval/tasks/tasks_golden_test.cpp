#include <doctest/doctest.h>

#include "embedpool/eval/tasks/task.hpp"
#include "embedpool/io/json.hpp"
#include "eval/tasks/embedded_texts.hpp"
#include "support/golden.hpp"

using namespace embedpool;

namespace {

/// The golden files' tolerance of metrics in double.
doctest::Approx near(const io::Json& expected) { return doctest::Approx(expected.get<double>()).epsilon(1e-9); }

/// The golden vectors have no texts: their names are made up here.
class Fixture {
 public:
  const io::SafetensorsFile file = io::SafetensorsFile::open(test::golden_directory() / "metrics.safetensors");
  const io::Json json = io::read_json(test::golden_directory() / "metrics.json");
  TextTable table;

  std::vector<std::string> texts(const std::string& tensor) {
    const auto rows = io::matrix_of<float>(file.at(tensor));
    std::vector<std::string> names;
    for (Index i = 0; i < rows.rows(); ++i) {
      names.push_back(tensor + std::to_string(i));
      vectors_[names.back()] = std::vector<float>(rows.row(i).data(), rows.row(i).data() + rows.cols());
    }
    return names;
  }
  TaskResult evaluate(const Task& task) const {
    SerialExecutor serial;
    const Matrix<float> embeddings = test::embedded(table, vectors_);
    return task.evaluate(rows_of(embeddings), serial);
  }

 private:
  std::map<std::string, std::vector<float>> vectors_;
};

}  // namespace

TEST_CASE("the task of sentence pairs gives the golden correlations") {
  Fixture golden;
  const auto a = golden.texts("sts.a"), b = golden.texts("sts.b");
  const auto gold = io::matrix_of<double>(golden.file.at("sts.gold"));
  StsData data;
  for (std::size_t i = 0; i < a.size(); ++i) data.pairs.push_back({a[i], b[i], gold(0, static_cast<Index>(i))});
  const TaskResult result = golden.evaluate(StsTask(data, golden.table));
  const io::Json& expected = golden.json.at("sts");
  CHECK(result.main() == near(expected.at("spearman_cosine")));
  CHECK(result.metric("cosine_pearson") == near(expected.at("pearson_cosine")));
  CHECK(result.metric("euclidean_spearman") == near(expected.at("spearman_neg_euclidean")));
  CHECK(result.metric("manhattan_pearson") == near(expected.at("pearson_neg_manhattan")));
}

TEST_CASE("the task of pair classification gives the golden scores") {
  Fixture golden;
  const auto a = golden.texts("pair.a"), b = golden.texts("pair.b");
  const auto labels = io::integers_of(golden.file.at("pair.labels"));
  PairClassificationData data;
  for (std::size_t i = 0; i < a.size(); ++i) data.pairs.push_back({a[i], b[i], static_cast<int>(labels[i])});
  const TaskResult result = golden.evaluate(PairClassificationTask(data, golden.table));
  const io::Json& expected = golden.json.at("pair_classification");
  CHECK(result.main() == near(expected.at("ap").at("cosine")));
  CHECK(result.metric("dot_ap") == near(expected.at("ap").at("dot")));
  CHECK(result.metric("max_ap") == near(expected.at("max_ap")));
  CHECK(result.metric("euclidean_f1") == near(expected.at("best").at("neg_euclidean").at("f1")));
  CHECK(result.metric("manhattan_accuracy") == near(expected.at("best").at("neg_manhattan").at("accuracy")));
  CHECK(mean_of(result.item_scores) == near(expected.at("ap").at("cosine")));
}

TEST_CASE("the task of reranking gives the golden scores") {
  Fixture golden;
  const auto queries = golden.texts("rerank.queries"), docs = golden.texts("rerank.docs");
  const auto labels = io::integers_of(golden.file.at("rerank.labels")), offsets = io::integers_of(golden.file.at("rerank.offsets"));
  RerankingData data;
  for (std::size_t q = 0; q < queries.size(); ++q) {
    RerankingData::Query query{{queries[q]}, {}, {}};
    for (auto d = static_cast<std::size_t>(offsets[q]); d < static_cast<std::size_t>(offsets[q + 1]); ++d)
      (labels[d] != 0 ? query.positives : query.negatives).push_back(docs[d]);
    data.queries.push_back(query);
  }
  const TaskResult result = golden.evaluate(RerankingTask(data, golden.table));
  CHECK(result.main() == near(golden.json.at("reranking").at("map")));
  for (std::size_t q = 0; q < queries.size(); ++q) CHECK(result.item_scores[q] == near(golden.json.at("reranking").at("ap")[q]));
}

TEST_CASE("the task of retrieval gives the golden scores, ties included") {
  Fixture golden;
  const auto queries = golden.texts("retrieval.queries"), docs = golden.texts("retrieval.docs");
  const io::Json& expected = golden.json.at("retrieval");
  const auto ids = expected.at("doc_ids").get<std::vector<std::string>>(), query_ids = expected.at("query_ids").get<std::vector<std::string>>();
  RetrievalData data;
  std::map<std::string, Index> number;
  for (std::size_t d = 0; d < docs.size(); ++d) {
    number[ids[d]] = static_cast<Index>(d);
    data.documents.push_back({ids[d], docs[d]});
  }
  for (std::size_t q = 0; q < queries.size(); ++q) {
    data.queries.push_back({query_ids[q], queries[q]});
    data.judgements.emplace_back();
    for (const auto& grade : expected.at("qrels").at(query_ids[q]).items()) {
      if (!number.contains(grade.key())) {  // judged, but none of the corpus: as one without text, it is never found
        number[grade.key()] = static_cast<Index>(data.documents.size());
        data.documents.push_back({grade.key(), ""});
      }
      data.judgements.back().push_back({number.at(grade.key()), grade.value().get<int>()});
    }
  }
  RetrievalOptions options;
  options.ignore_identical_ids = false;  // the reference has no such rule
  const TaskResult result = golden.evaluate(RetrievalTask(data, golden.table, options));
  for (const std::string name : {"ndcg_at_10", "ndcg_at_3", "recall_at_5", "precision_at_5", "mrr_at_10"})
    CHECK(result.metric(name) == near(expected.at("mean").at(name)));
  if (docs.size() <= 1000) CHECK(result.metric("map_at_1000") == near(expected.at("mean").at("map")));  // the reference's is uncut
  for (std::size_t q = 0; q < queries.size(); ++q)
    CHECK(result.item_scores[q] == near(expected.at("per_query").at(query_ids[q]).at("ndcg_at_10")));
}

TEST_CASE("the task of summarization gives the golden scores in both forms") {
  Fixture golden;
  const auto human = golden.texts("summarization.human"), machine = golden.texts("summarization.machine");
  const auto relevance = io::matrix_of<double>(golden.file.at("summarization.relevance"));
  const auto articles = static_cast<std::size_t>(relevance.rows());
  const auto slice = [articles](const std::vector<std::string>& all, std::size_t i) {
    const auto count = static_cast<Index>(all.size() / articles), first = static_cast<Index>(i) * count;
    return std::vector<std::string>(all.begin() + first, all.begin() + first + count);
  };
  SummarizationData data;
  for (std::size_t i = 0; i < articles; ++i) {
    const auto row = relevance.row(static_cast<Index>(i));
    data.articles.push_back({slice(human, i), slice(machine, i), std::vector<double>(row.data(), row.data() + row.size())});
  }
  const TaskResult result = golden.evaluate(SummarizationTask(data, golden.table));
  CHECK(result.main() == near(golden.json.at("summarization").at("spearman")));
  CHECK(result.metric("cosine_spearman_mteb_v1") == near(golden.json.at("summarization").at("v1_mean_over_statistics_and_p_values")));
}

TEST_CASE("the task of bitext mining gives the golden scores") {
  Fixture golden;
  const BitextData data{golden.texts("bitext.a"), golden.texts("bitext.b")};
  const TaskResult result = golden.evaluate(BitextTask(data, golden.table));
  for (const std::string name : {"f1", "accuracy", "precision", "recall"})
    CHECK(result.metric(name) == near(golden.json.at("bitext").at(name)));
}
