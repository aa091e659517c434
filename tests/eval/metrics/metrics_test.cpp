#include <doctest/doctest.h>

#include <limits>

#include "embedpool/eval/metrics/best_threshold.hpp"
#include "embedpool/eval/metrics/classification_scores.hpp"
#include "embedpool/eval/metrics/ranking.hpp"
#include "embedpool/eval/metrics/similarity.hpp"
#include "embedpool/eval/metrics/summarization.hpp"
#include "embedpool/eval/metrics/v_measure.hpp"

using namespace embedpool;

// Values worked by hand; a few roundings of 2.2e-16 stand between them and the computation.
namespace {
doctest::Approx exactly(double value) { return doctest::Approx(value).epsilon(1e-14); }
}  // namespace

TEST_CASE("similarities of 3-4-5 vectors are what they are by hand, and a zero vector is like nothing") {
  const std::vector<float> a = {3, 4}, b = {4, 3}, zero = {0, 0};
  CHECK(dot_similarity(a, b) == 24);
  CHECK(cosine_similarity(a, b) == exactly(24.0 / 25));
  CHECK(negative_euclidean(a, b) == exactly(-std::sqrt(2.0)));
  CHECK(negative_manhattan(a, b) == -2);
  CHECK(cosine_similarity(a, zero) == 0);
}

TEST_CASE("a vector has cosine one with itself, to the bit, whatever its length") {
  for (int n = 1; n < 200; ++n) {
    const std::vector<float> a = {1, 0.1f, static_cast<float>(n) / 7};
    CHECK(cosine_similarity(a, a) == 1);
  }
}

TEST_CASE("average precision is the mean of the precision at each positive") {
  const std::vector<int> labels = {1, 0, 1, 0};
  CHECK(average_precision(labels, std::vector<double>{4, 3, 2, 1}) == exactly((1 + 2.0 / 3) / 2));
  // The two in the middle share a threshold: 2 positives of 3.
  CHECK(average_precision(labels, std::vector<double>{4, 2, 2, 1}) == exactly((1 + 2.0 / 3) / 2));
  CHECK(average_precision(labels, std::vector<double>{7, 7, 7, 7}) == 0.5);
  CHECK(precision_at_positives(labels, std::vector<double>{1, 2, 3, 0}) == std::vector<double>{2.0 / 3, 1});
}

TEST_CASE("average precision refuses what it is not defined for") {
  const std::vector<double> scores = {1, 2}, broken = {1, std::nan("")};
  CHECK_THROWS_AS(average_precision(std::vector<int>{0, 0}, scores), ShapeError);
  CHECK_THROWS_AS(average_precision(std::vector<int>{0, 1, 1}, scores), ShapeError);
  CHECK_THROWS_AS(average_precision(std::vector<int>{0, 1}, broken), ShapeError);
}

TEST_CASE("the best thresholds lie midway between two scores") {
  const std::vector<int> labels = {1, 1, 0, 1, 0};
  const std::vector<double> scores = {10, 8, 6, 4, 2};
  // Cuts behind 1, 2, 3, 4 items: accuracy 3/5, 4/5, 3/5, 4/5; F1 1/2, 4/5, 2/3, 6/7.
  CHECK(best_accuracy(labels, scores).value == exactly(0.8));
  CHECK(best_accuracy(labels, scores).threshold == 7);
  CHECK(best_f1(labels, scores).value == exactly(6.0 / 7));
  CHECK(best_f1(labels, scores).threshold == 3);
  CHECK(best_accuracy(std::vector<int>{1}, std::vector<double>{1}).value == 0);  // no cut
}

TEST_CASE("ranking metrics of a hand-made answer are what they are by hand") {
  const std::vector<int> ranked = {0, 2, 0, 1}, judged = {2, 1, 3, 0};  // the document of grade 3 was not found
  const RankedGrades answer{ranked, judged};
  const double log3 = std::log2(3.0), log5 = std::log2(5.0);
  CHECK(ndcg_at(answer, 10) == exactly((2 / log3 + 1 / log5) / (3 + 2 / log3 + 1.0 / 2)));
  CHECK(ndcg_at(answer, 2) == exactly((2 / log3) / (3 + 2 / log3)));
  CHECK(ranked_average_precision(answer, 10) == exactly((1.0 / 2 + 2.0 / 4) / 3));
  CHECK(ranked_average_precision(answer, 3) == exactly((1.0 / 2) / 3));
  CHECK(recall_at(answer, 3) == exactly(1.0 / 3));
  CHECK(precision_at(answer, 8) == exactly(2.0 / 8));  // over k, though fewer were found
  CHECK(reciprocal_rank_at(answer, 10) == 0.5);
  CHECK(reciprocal_rank_at(answer, 1) == 0);
}

TEST_CASE("a query without a relevant document scores nothing, and not a number is nowhere") {
  const std::vector<int> ranked = {0, 0}, judged = {0};
  const RankedGrades answer{ranked, judged};
  CHECK(ndcg_at(answer, 10) == 0);
  CHECK(ranked_average_precision(answer, 10) == 0);
  CHECK(recall_at(answer, 10) == 0);
}

TEST_CASE("scores of predicted classes count by hand, with a class that is never predicted and one never true") {
  const std::vector<Index> truth = {0, 0, 1, 2}, predicted = {0, 3, 3, 2};
  const ClassificationScores scores = classification_scores(truth, predicted);
  // Class 0: P 1, R 1/2, F1 2/3; class 2: all 1; classes 1 and 3: all 0.
  CHECK(scores.accuracy == 0.5);
  CHECK(scores.macro_f1 == exactly((2.0 / 3 + 1) / 4));
  CHECK(scores.weighted_f1 == exactly((2 * 2.0 / 3 + 1) / 4));
  CHECK(scores.weighted_precision == exactly((2 * 1.0 + 1) / 4));
  CHECK(scores.weighted_recall == exactly((2 * 0.5 + 1) / 4));
}

TEST_CASE("the V-measure is one for renamed classes and zero where clusters tell nothing") {
  const std::vector<Index> classes = {0, 0, 1, 1}, renamed = {7, 7, 3, 3}, one = {0, 0, 0, 0}, crossed = {0, 1, 0, 1};
  CHECK(v_measure(classes, renamed).v_measure == exactly(1));
  CHECK(v_measure(classes, one).homogeneity == 0);
  CHECK(v_measure(classes, one).completeness == 1);
  CHECK(v_measure(classes, one).v_measure == 0);
  CHECK(v_measure(classes, crossed).v_measure == 0);
  // Each class of two split: H(C) = log 2, H(K) = log 4, information log 2.
  CHECK(v_measure(classes, std::vector<Index>{0, 1, 2, 3}).v_measure == exactly(2.0 / 3));
}

TEST_CASE("tails of Student's t have their closed forms for one and two degrees of freedom") {
  // One: 1 - 2 atan(t) / pi. Two: 1 - t / sqrt(2 + t^2). The fraction converges to about 1e-15.
  for (const double t : {0.0, 0.3, 1.0, 2.0, 25.0}) {
    CHECK(std::abs(student_t_two_sided(t, 1) - (1 - 2 * std::atan(t) / std::acos(-1.0))) < 1e-14);
    CHECK(std::abs(student_t_two_sided(-t, 2) - (1 - t / std::sqrt(2 + t * t))) < 1e-14);
  }
  CHECK(student_t_two_sided(std::numeric_limits<double>::infinity(), 3) == 0);
}

TEST_CASE("the first published form of summarization averages p-values in, and the corrected one does not") {
  // Ranks agree in the first article (p = 0) and in the second all but two: r = 0.5, t = 1 / sqrt(3), 1 degree of freedom.
  const std::vector<std::vector<double>> scores = {{1, 2, 3}, {1, 2, 3}, {5, 6, 7}}, ratings = {{2, 4, 5}, {1, 3, 2}, {4, 4, 4}};
  const SummarizationScores result = summarization_scores(scores, ratings);
  const double p = 2.0 / 3;  // 1 - 2 atan(1 / sqrt(3)) / pi
  CHECK(result.per_article.size() == 2);
  CHECK(result.spearman == exactly(0.75));
  // r = 1 is computed to about 1e-16, which moves its p-value to about 1e-8.
  CHECK(result.spearman_mteb_v1 == doctest::Approx((1 + 0 + 0.5 + p) / 4).epsilon(1e-7));
  CHECK_THROWS_AS(summarization_scores({{1, 1, 1}}, {{1, 2, 3}}), ShapeError);
  CHECK_THROWS_AS(summarization_scores({{1, 2}}, {{1, 2}}), ShapeError);
}
