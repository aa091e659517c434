#include <doctest/doctest.h>

#include <limits>

#include "embedpool/core/thread_pool.hpp"
#include "embedpool/eval/significance/comparison.hpp"
#include "embedpool/testing/shuffled_executor.hpp"

using namespace embedpool;

namespace {
/// P(W+ >= w) by going through all sign patterns.
double upper_tail_by_enumeration(const std::vector<double>& ranks, double w) {
  Index hits = 0;
  const Index patterns = Index(1) << ranks.size();
  for (Index pattern = 0; pattern < patterns; ++pattern) {
    double sum = 0;
    for (std::size_t i = 0; i < ranks.size(); ++i)
      if ((pattern >> i & 1) != 0) sum += ranks[i];
    hits += sum >= w;
  }
  return static_cast<double>(hits) / static_cast<double>(patterns);
}
}  // namespace

TEST_CASE("differences of one sign have the smallest p there is") {
  const std::vector<double> rising = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const WilcoxonResult result = wilcoxon_signed_rank(rising);
  CHECK(result.w_plus == 55);
  CHECK(result.p == 2.0 / 1024);
  CHECK(result.p == result.smallest_p(Alternative::two_sided));
  CHECK(result.rank_biserial() == 1);
  CHECK(wilcoxon_signed_rank(rising, Alternative::greater).p == 1.0 / 1024);
  CHECK(wilcoxon_signed_rank(rising, Alternative::less).p == 1);
}

TEST_CASE("exact tails are those of all sign patterns, with ties and without, up to 12 differences") {
  for (std::size_t n = 1; n <= 12; ++n)
    for (const bool ties : {false, true}) {
      std::vector<double> differences;
      for (std::size_t i = 0; i < n; ++i) {
        const double size = static_cast<double>(ties ? 1 + i / 3 : 1 + i);
        differences.push_back(i % 3 == 1 ? -size : size);
      }
      std::vector<double> sizes = differences;
      for (double& size : sizes) size = std::abs(size);
      const WilcoxonResult result = wilcoxon_signed_rank(differences, Alternative::greater);
      CAPTURE(n);
      CHECK(result.p == upper_tail_by_enumeration(average_ranks(sizes), result.w_plus));  // multiples of 2^-12: exact
    }
}

TEST_CASE("zeros are counted and left out, and nothing but zeros has p one") {
  const WilcoxonResult result = wilcoxon_signed_rank(std::vector<double>{0, 1, -2, 0, 3});
  CHECK(result.n == 3);
  CHECK(result.zeros == 2);
  CHECK(result.w_plus == 4);
  CHECK(result.w_minus == 2);
  CHECK(result.rank_biserial() == doctest::Approx(2.0 / 6).epsilon(1e-14));
  for (const auto method : {WilcoxonMethod::automatic, WilcoxonMethod::normal, WilcoxonMethod::normal_pratt})
    CHECK(wilcoxon_signed_rank(std::vector<double>{0, 0}, Alternative::two_sided, method).p == 1);
  CHECK(wilcoxon_signed_rank(std::vector<double>{}).p == 1);
  CHECK_THROWS_AS(wilcoxon_signed_rank(std::vector<double>{1, std::nan("")}), ShapeError);
}

TEST_CASE("the automatic method counts up to its limit and approximates beyond") {
  std::vector<double> differences;
  for (Index i = 1; i <= wilcoxon_exact_limit; ++i) differences.push_back(static_cast<double>(i % 4 == 0 ? -i : i));
  CHECK(wilcoxon_signed_rank(differences).method == WilcoxonMethod::exact);
  differences.push_back(0);  // zeros do not count
  CHECK(wilcoxon_signed_rank(differences).method == WilcoxonMethod::exact);
  differences.push_back(1000);
  const WilcoxonResult result = wilcoxon_signed_rank(differences);
  CHECK(result.method == WilcoxonMethod::normal_corrected);
  const double exact = wilcoxon_signed_rank(differences, Alternative::two_sided, WilcoxonMethod::exact).p;
  CHECK(result.p == doctest::Approx(exact).epsilon(0.1));  // an approximation: some percent in this tail
}

TEST_CASE("the exact test takes hundreds of pairs without losing chances") {
  std::vector<double> differences;
  for (int i = 1; i <= 300; ++i) differences.push_back(i % 2 == 0 ? i : -i);
  const double up = wilcoxon_signed_rank(differences, Alternative::greater, WilcoxonMethod::exact).p,
               down = wilcoxon_signed_rank(differences, Alternative::less, WilcoxonMethod::exact).p;
  CHECK(up + down > 1);  // both hold the chance of the value itself, which is small
  CHECK(up + down < 1.001);
}

TEST_CASE("differences that are equal but for rounding tie, and those of equal scores are zero") {
  const std::vector<double> a = {0.3, 0.2, 0.1 + 0.2}, b = {0.2, 0.1, 0.3};
  const std::vector<double> d = paired_differences(a, b);
  CHECK(d[0] == d[1]);
  CHECK(d[2] == 0);
}

TEST_CASE("Holm multiplies the smallest by the number of tests, and never lets a later one be smaller") {
  const std::vector<double> adjusted = holm_adjusted(std::vector<double>{0.04, 0.01, 0.03, 0.5});
  const std::vector<double> expected = {0.09, 0.04, 0.09, 0.5};
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(adjusted[i] == doctest::Approx(expected[i]).epsilon(1e-14));
  CHECK(holm_adjusted(std::vector<double>{}).empty());
}

TEST_CASE("quantiles and medians lie between neighbours") {
  CHECK(sorted_quantile(std::vector<double>{1, 2, 4}, 0.75) == 3);
  CHECK(median_of({5, 1, 2, 100}) == 3.5);
  CHECK(median_of({7}) == 7);
  CHECK_THROWS_AS(median_of({}), ShapeError);
}

TEST_CASE("the bootstrap interval of a mean is about two standard errors wide on each side, for any executor") {
  std::vector<double> values;
  for (int i = 0; i < 400; ++i) values.push_back(i % 2);
  SerialExecutor serial;
  ThreadPool pool(3);
  testing::ShuffledExecutor shuffled(4);
  const ConfidenceInterval interval = bootstrap_mean_interval(values, serial);
  // Mean 1/2, standard error 0.5 / sqrt(400) = 0.025, times 1.96. The means are multiples of 1/400, and the quantiles of
  // 10,000 of them have a standard error of 0.0007.
  CHECK(std::abs(interval.low - (0.5 - 0.049)) < 0.004);
  CHECK(std::abs(interval.high - (0.5 + 0.049)) < 0.004);
  CHECK(interval.low == bootstrap_mean_interval(values, pool).low);
  CHECK(interval.high == bootstrap_mean_interval(values, shuffled).high);
  const ConfidenceInterval other = bootstrap_mean_interval(values, serial, {0.5, 1000, 42});
  CHECK(other.low > interval.low);
  CHECK(other.high < interval.high);
  CHECK(bootstrap_mean_interval(std::vector<double>{3}, serial).low == 3);
  CHECK_THROWS_AS(bootstrap_mean_interval(std::vector<double>{}, serial), ShapeError);
  CHECK_THROWS_AS(bootstrap_mean_interval(values, serial, {1.5, 10, 1}), ShapeError);
}

TEST_CASE("every item is drawn about as often as any other") {
  constexpr Index n = 7;
  std::vector<double> draws(n);
  SerialExecutor serial;
  bootstrap_interval(n, [&](std::span<const Index> sample) {
    for (const Index i : sample) draws[static_cast<std::size_t>(i)] += 1;
    return 0.0;
  }, serial);
  for (const double count : draws) CHECK(std::abs(count - 10000) < 500);  // 5 standard deviations of about 93
}

TEST_CASE("three data sets cannot make a difference significant, and the comparison says so") {
  SerialExecutor serial;
  const std::vector<double> good = {0.8, 0.9, 0.7}, bad = {0.1, 0.2, 0.3};
  const Comparison few = compare_paired("one", good, "two", bad, serial);
  CHECK(few.test.smallest_p(Alternative::two_sided) == 0.25);
  CHECK(few.verdict(0.05) == Verdict::impossible);
  CHECK(few.explain(0.05).find("smallest p possible is 0.25") != std::string::npos);
  CHECK(few.median_difference == doctest::Approx(0.7).epsilon(1e-9));
  CHECK(few.mean_first == doctest::Approx(0.8).epsilon(1e-14));
}

TEST_CASE("ten data sets can, alone and in a family that is not too large") {
  SerialExecutor serial;
  std::vector<double> good, bad, same;
  for (int i = 0; i < 10; ++i) {
    bad.push_back(0.1 * i / 2);
    good.push_back(bad.back() + 0.01 * (i + 1));
    same.push_back(bad.back() + (i % 2 == 0 ? 0.01 : -0.01) * (i + 1));
  }
  const Comparison better = compare_paired("good", good, "bad", bad, serial);
  CHECK(better.verdict(0.05) == Verdict::significant);
  CHECK(better.explain(0.05).find("good scores higher than bad") == 0);
  CHECK(compare_paired("bad", bad, "good", good, serial).explain(0.05).find("good scores higher than bad") == 0);
  CHECK(better.mean_difference.low > 0);
  const Comparison equal = compare_paired("same", same, "bad", bad, serial);
  CHECK(equal.verdict(0.05) == Verdict::not_significant);
  CHECK(equal.explain(0.05).find("no significant difference") == 0);

  std::vector<Comparison> family(26, equal);
  family[3] = better;
  adjust_family(family);
  CHECK(family[3].adjusted_p == doctest::Approx(26 * 2.0 / 1024).epsilon(1e-12));
  CHECK(family[3].verdict(0.05) == Verdict::not_significant);
  family.resize(20);
  adjust_family(family);
  CHECK(family[3].verdict(0.05) == Verdict::significant);
}

TEST_CASE("models with equal scores everywhere cannot differ") {
  SerialExecutor serial;
  const std::vector<double> scores(12, 0.5);
  const Comparison none = compare_paired("a", scores, "b", scores, serial);
  CHECK(none.test.p == 1);
  CHECK(none.verdict(0.05) == Verdict::impossible);
  CHECK(none.mean_difference.high == 0);
}
