#include <doctest/doctest.h>

#include "embedpool/eval/metrics/best_threshold.hpp"
#include "embedpool/eval/metrics/classification_scores.hpp"
#include "embedpool/eval/metrics/ranking.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/eval/metrics/summarization.hpp"
#include "embedpool/eval/metrics/v_measure.hpp"
#include "embedpool/io/json.hpp"
#include "support/golden.hpp"

using namespace embedpool;

namespace {

/// The golden files' own tolerance of metrics in double: the order of sums differs, and nothing else.
constexpr double tolerance = 1e-9;

void check_equal(const std::string& what, double value, const io::Json& expected) {
  CAPTURE(what);
  CHECK(std::abs(value - expected.get<double>()) <= tolerance * std::max(1.0, std::abs(expected.get<double>())));
}

io::Json json() { return io::read_json(test::golden_directory() / "metrics.json"); }
io::SafetensorsFile tensors() { return io::SafetensorsFile::open(test::golden_directory() / "metrics.safetensors"); }

using Similarity = double (*)(std::span<const float>, std::span<const float>);
const std::map<std::string, Similarity> similarities = {{"cosine", [](auto a, auto b) { return cosine_similarity(a, b); }},
                                                        {"dot", [](auto a, auto b) { return dot_similarity(a, b); }},
                                                        {"neg_euclidean", [](auto a, auto b) { return negative_euclidean(a, b); }},
                                                        {"neg_manhattan", [](auto a, auto b) { return negative_manhattan(a, b); }}};

std::vector<double> pair_scores(const io::SafetensorsFile& file, const std::string& set, Similarity similarity) {
  const auto a = io::matrix_of<float>(file.at(set + ".a")), b = io::matrix_of<float>(file.at(set + ".b"));
  std::vector<double> scores;
  for (Index i = 0; i < a.rows(); ++i) scores.push_back(similarity(rows_of(a).row(i), rows_of(b).row(i)));
  return scores;
}

template <class T>
std::vector<T> labels_of(const io::Tensor& tensor) {
  std::vector<T> labels;
  for (const std::int64_t value : io::integers_of(tensor)) labels.push_back(static_cast<T>(value));
  return labels;
}

}  // namespace

TEST_CASE("similarities of sentence pairs correlate with human scores as the reference has it") {
  const io::SafetensorsFile file = tensors();
  const io::Json expected = json().at("sts");
  const auto gold_row = io::matrix_of<double>(file.at("sts.gold"));
  const std::vector<double> gold(gold_row.data(), gold_row.data() + gold_row.size());
  const auto cosine_row = io::matrix_of<double>(file.at("sts.cosine"));
  const std::vector<double> cosine = pair_scores(file, "sts", similarities.at("cosine"));
  for (std::size_t i = 0; i < cosine.size(); ++i)
    CHECK(std::abs(cosine[i] - cosine_row(0, static_cast<Index>(i))) <= tolerance);
  for (const std::string name : {"cosine", "neg_euclidean", "neg_manhattan"}) {
    const std::vector<double> scores = pair_scores(file, "sts", similarities.at(name));
    check_equal(name, spearman(scores, gold), expected.at("spearman_" + name));
    check_equal(name, pearson(scores, gold), expected.at("pearson_" + name));
  }
}

TEST_CASE("average precision agrees with the reference, equal scores sharing a threshold") {
  const io::Json examples = json().at("average_precision");
  REQUIRE(!examples.empty());
  for (const io::Json& example : examples)
    check_equal("ap", average_precision(example.at("labels").get<std::vector<int>>(), example.at("scores").get<std::vector<double>>()),
                example.at("ap"));
}

TEST_CASE("pair classification agrees with the reference for every similarity") {
  const io::SafetensorsFile file = tensors();
  const io::Json expected = json().at("pair_classification");
  const auto labels = labels_of<int>(file.at("pair.labels"));
  double most = 0;
  for (const auto& item : expected.at("ap").items()) {
    const std::string name = item.key();
    const std::vector<double> scores = pair_scores(file, "pair", similarities.at(name));
    most = std::max(most, average_precision(labels, scores));
    check_equal(name, average_precision(labels, scores), item.value());
    const io::Json& best = expected.at("best").at(name);
    check_equal(name, best_accuracy(labels, scores).value, best.at("accuracy"));
    check_equal(name, best_accuracy(labels, scores).threshold, best.at("accuracy_threshold"));
    check_equal(name, best_f1(labels, scores).value, best.at("f1"));
    check_equal(name, best_f1(labels, scores).threshold, best.at("f1_threshold"));
  }
  check_equal("max_ap", most, expected.at("max_ap"));
}

TEST_CASE("reranking agrees with the reference for every query") {
  const io::SafetensorsFile file = tensors();
  const io::Json expected = json().at("reranking");
  const auto queries = io::matrix_of<float>(file.at("rerank.queries")), docs = io::matrix_of<float>(file.at("rerank.docs"));
  const auto all_labels = labels_of<int>(file.at("rerank.labels"));
  const auto offsets = io::integers_of(file.at("rerank.offsets"));
  double ap = 0, rr = 0;
  for (Index q = 0; q < queries.rows(); ++q) {
    std::vector<double> scores;
    std::vector<int> labels;
    for (Index d = offsets[static_cast<std::size_t>(q)]; d < offsets[static_cast<std::size_t>(q) + 1]; ++d) {
      scores.push_back(cosine_similarity(rows_of(queries).row(q), rows_of(docs).row(d)));
      labels.push_back(all_labels[static_cast<std::size_t>(d)]);
    }
    check_equal("ap", average_precision(labels, scores), expected.at("ap").at(static_cast<std::size_t>(q)));
    check_equal("rr", reciprocal_rank(labels, scores, 10), expected.at("rr_at_10").at(static_cast<std::size_t>(q)));
    ap += average_precision(labels, scores) / static_cast<double>(queries.rows());
    rr += reciprocal_rank(labels, scores, 10) / static_cast<double>(queries.rows());
  }
  check_equal("map", ap, expected.at("map"));
  check_equal("mrr", rr, expected.at("mrr_at_10"));
}

TEST_CASE("retrieval agrees with the reference for every query, ties ranked by falling document id") {
  const io::SafetensorsFile file = tensors();
  const io::Json expected = json().at("retrieval");
  const auto queries = io::matrix_of<float>(file.at("retrieval.queries")), docs = io::matrix_of<float>(file.at("retrieval.docs"));
  const auto ids = expected.at("doc_ids").get<std::vector<std::string>>();
  const auto query_ids = expected.at("query_ids").get<std::vector<std::string>>();
  for (Index q = 0; q < queries.rows(); ++q) {
    const std::string query = query_ids[static_cast<std::size_t>(q)];
    CAPTURE(query);
    std::vector<std::pair<double, std::string>> found;
    for (Index d = 0; d < docs.rows(); ++d)
      found.emplace_back(cosine_similarity(rows_of(queries).row(q), rows_of(docs).row(d)), ids[static_cast<std::size_t>(d)]);
    std::sort(found.begin(), found.end(), std::greater<>());
    std::vector<int> judged, ranked;
    std::vector<std::string> best;
    const io::Json& grades = expected.at("qrels").at(query);
    for (const io::Json& grade : grades) judged.push_back(grade.get<int>());
    for (const auto& entry : found) ranked.push_back(grades.value(entry.second, 0));
    for (const auto& entry : found) best.push_back(entry.second);
    const io::Json& scores = expected.at("per_query").at(query);
    best.resize(scores.at("top10").size());
    CHECK(best == scores.at("top10").get<std::vector<std::string>>());
    const RankedGrades answer{ranked, judged};
    check_equal("ndcg_at_10", ndcg_at(answer, 10), scores.at("ndcg_at_10"));
    check_equal("ndcg_at_3", ndcg_at(answer, 3), scores.at("ndcg_at_3"));
    check_equal("map", ranked_average_precision(answer, ranked.size()), scores.at("map"));
    check_equal("recall_at_5", recall_at(answer, 5), scores.at("recall_at_5"));
    check_equal("precision_at_5", precision_at(answer, 5), scores.at("precision_at_5"));
    check_equal("mrr_at_10", reciprocal_rank_at(answer, 10), scores.at("mrr_at_10"));
  }
}

TEST_CASE("scores of predicted classes agree with the reference") {
  const io::SafetensorsFile file = tensors();
  const io::Json tasks = json().at("classification");
  REQUIRE(!tasks.empty());
  for (std::size_t c = 0; c < tasks.size(); ++c) {
    const std::string prefix = "classification." + std::to_string(c);
    const auto truth = labels_of<Index>(file.at(prefix + ".test_labels"));
    const io::Json& experiments = tasks[c].at("experiments");
    for (std::size_t e = 0; e < experiments.size(); ++e) {
      const auto predicted = labels_of<Index>(file.at(prefix + ".experiment" + std::to_string(e) + ".predictions"));
      const ClassificationScores scores = classification_scores(truth, predicted);
      check_equal("accuracy", scores.accuracy, experiments[e].at("accuracy"));
      check_equal("macro_f1", scores.macro_f1, experiments[e].at("macro_f1"));
      check_equal("weighted_f1", scores.weighted_f1, experiments[e].at("weighted_f1"));
      if (experiments[e].contains("ap_of_predicted_labels") && experiments[e].at("ap_of_predicted_labels").is_number())
        check_equal("ap", average_precision_of_predictions(truth, predicted), experiments[e].at("ap_of_predicted_labels"));
    }
  }
}

TEST_CASE("the V-measure agrees with the reference, single clusters and classes included") {
  const io::Json examples = json().at("v_measure");
  REQUIRE(!examples.empty());
  for (const io::Json& example : examples) {
    const VMeasure v = v_measure(example.at("labels").get<std::vector<Index>>(), example.at("clusters").get<std::vector<Index>>());
    check_equal("homogeneity", v.homogeneity, example.at("homogeneity"));
    check_equal("completeness", v.completeness, example.at("completeness"));
    check_equal("v_measure", v.v_measure, example.at("v_measure"));
  }
}

TEST_CASE("summarization agrees with the reference in both forms") {
  const io::SafetensorsFile file = tensors();
  const io::Json expected = json().at("summarization");
  const io::Tensor& shape = file.at("summarization.human");
  const auto human = io::matrix_of<float>(shape), machine = io::matrix_of<float>(file.at("summarization.machine"));
  const auto relevance = io::matrix_of<double>(file.at("summarization.relevance"));
  const Index references = shape.shape[1], systems = relevance.cols();
  std::vector<std::vector<double>> scores, ratings;
  for (Index a = 0; a < relevance.rows(); ++a) {
    scores.emplace_back();
    ratings.emplace_back(relevance.row(a).data(), relevance.row(a).data() + systems);
    for (Index m = 0; m < systems; ++m) {
      double best = -1;
      for (Index h = 0; h < references; ++h)
        best = std::max(best, cosine_similarity(rows_of(machine).row(a * systems + m), rows_of(human).row(a * references + h)));
      scores.back().push_back(best);
    }
  }
  const SummarizationScores result = summarization_scores(scores, ratings);
  REQUIRE(result.per_article.size() == expected.at("spearman_per_article").size());
  for (std::size_t a = 0; a < result.per_article.size(); ++a) {
    check_equal("article", result.per_article[a], expected.at("spearman_per_article")[a]);
    check_equal("p-value", correlation_p_value(result.per_article[a], static_cast<double>(systems)),
                expected.at("p_value_per_article")[a]);
  }
  check_equal("spearman", result.spearman, expected.at("spearman"));
  check_equal("v1", result.spearman_mteb_v1, expected.at("v1_mean_over_statistics_and_p_values"));
}

TEST_CASE("p-values of rank correlations agree with the reference") {
  const io::Json examples = json().at("spearman");
  for (const io::Json& example : examples)
    if (example.contains("p_value") && example.at("p_value").is_number())
      check_equal("p_value", correlation_p_value(example.at("spearman").get<double>(), static_cast<double>(example.at("x").size())),
                  example.at("p_value"));
}

TEST_CASE("bitext mining agrees with the reference") {
  const io::SafetensorsFile file = tensors();
  const io::Json expected = json().at("bitext");
  const auto a = io::matrix_of<float>(file.at("bitext.a")), b = io::matrix_of<float>(file.at("bitext.b"));
  std::vector<Index> truth, nearest;
  for (Index i = 0; i < a.rows(); ++i) {
    std::vector<double> scores;
    for (Index j = 0; j < b.rows(); ++j) scores.push_back(cosine_similarity(rows_of(a).row(i), rows_of(b).row(j)));
    truth.push_back(i);
    nearest.push_back(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
  CHECK(nearest == labels_of<Index>(file.at("bitext.predicted")));
  const ClassificationScores scores = classification_scores(truth, nearest);
  check_equal("f1", scores.weighted_f1, expected.at("f1"));
  check_equal("accuracy", scores.accuracy, expected.at("accuracy"));
  check_equal("precision", scores.weighted_precision, expected.at("precision"));
  check_equal("recall", scores.weighted_recall, expected.at("recall"));
}
