#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/eval/spearman.hpp"

namespace embedpool {

/// What is held against "the differences are symmetric about 0".
enum class Alternative { two_sided, greater, less };

/// How the p-value of the signed-rank test is found.
///
///   exact             by counting all sign patterns of the ranks, ties included
///   normal            approximation with the variance of tied ranks
///   normal_corrected  the same with a continuity correction of 1/2
///   normal_pratt      zeros are ranked with the others and left out then; the others leave zeros out before
///   automatic         exact up to 50 differences that are not zero, normal_corrected beyond
enum class WilcoxonMethod { automatic, exact, normal, normal_corrected, normal_pratt };

/// The largest number of differences that `automatic` counts exactly.
inline constexpr Index wilcoxon_exact_limit = 50;

struct WilcoxonResult {
  Index n = 0;         ///< differences that are not zero
  Index zeros = 0;     ///< those that are
  double w_plus = 0;   ///< sum of the ranks of positive differences
  double w_minus = 0;  ///< of negative ones
  double p = 1;
  WilcoxonMethod method = WilcoxonMethod::exact;  ///< the one used: never `automatic`

  /// The smallest p that n differences can give, all of one sign: 2^-n, doubled for the two-sided test.
  double smallest_p(Alternative alternative) const noexcept {
    return std::min(1.0, std::ldexp(alternative == Alternative::two_sided ? 2.0 : 1.0, static_cast<int>(-n)));
  }
  /// Matched-pairs rank-biserial correlation, an effect size in [-1, 1]: (W+ - W-) / (W+ + W-). 0 without differences.
  ///
  /// Source  Kerby 2014
  double rank_biserial() const noexcept { return n > 0 ? (w_plus - w_minus) / (w_plus + w_minus) : 0; }
};

namespace detail {

/// P(Z >= z) of a standard normal variable.
inline double normal_tail(double z) noexcept { return std::erfc(z / std::numbers::sqrt2) / 2; }

/// P(W >= w) and P(W <= w) for the sum W of the ranks that fall heads, each with chance 1/2.
struct RankSumTails {
  double upper = 1, lower = 1;

  /// Average ranks are multiples of 1/2, so their doubles are whole numbers, and the chances of all sums are built up
  /// rank by rank: O(n sum) for any ties.
  RankSumTails(const std::vector<double>& ranks, double w) {
    std::vector<double> chance = {1};
    for (const double rank : ranks) {
      const auto step = static_cast<std::size_t>(std::llround(2 * rank));
      std::vector<double> next(chance.size() + step);
      for (std::size_t s = 0; s < chance.size(); ++s) {
        next[s] += chance[s] / 2;
        next[s + step] += chance[s] / 2;
      }
      chance = std::move(next);
    }
    const auto at = static_cast<std::size_t>(std::llround(2 * w));
    upper = lower = 0;
    for (std::size_t s = 0; s < chance.size(); ++s) {
      if (s >= at) upper += chance[s];
      if (s <= at) lower += chance[s];
    }
  }
};

inline double p_of_tails(double upper, double lower, Alternative alternative) noexcept {
  if (alternative == Alternative::greater) return std::min(1.0, upper);
  if (alternative == Alternative::less) return std::min(1.0, lower);
  return std::min(1.0, 2 * std::min(upper, lower));
}

/// sum of t^3 - t over groups of t equal ranks
inline double tie_sum(std::vector<double> ranks) {
  std::sort(ranks.begin(), ranks.end());
  double sum = 0;
  for (std::size_t first = 0; first < ranks.size();) {
    std::size_t end = first;
    while (end < ranks.size() && ranks[end] == ranks[first]) ++end;
    const double t = static_cast<double>(end - first);
    sum += t * t * t - t;
    first = end;
  }
  return sum;
}

}  // namespace detail

/// Wilcoxon's signed-rank test of paired differences.
///
///   W+ = sum of the ranks of |d_i| over d_i > 0, equal |d_i| sharing the mean of their ranks; zeros are left out
///   two-sided p = min(1, 2 min(P(W+ >= w), P(W+ <= w)))
///   normal: mean n(n+1)/4, variance n(n+1)(2n+1)/24 - sum(t^3 - t)/48
///
/// Without a difference that is not zero p is 1. Ties are exact equality: paired_differences makes it mean something for
/// computed scores.
/// Errors  ShapeError when a difference is not finite
/// Source  Wilcoxon 1945, Pratt 1959; SciPy's wilcoxon gives the same values for each method
inline WilcoxonResult wilcoxon_signed_rank(std::span<const double> differences,
                                           Alternative alternative = Alternative::two_sided,
                                           WilcoxonMethod method = WilcoxonMethod::automatic) {
  WilcoxonResult result;
  std::vector<double> sizes;
  for (const double d : differences) {
    if (!std::isfinite(d)) throw ShapeError("wilcoxon_signed_rank: a difference is not finite");
    if (d == 0) ++result.zeros;
    else ++result.n;
    if (d != 0 || method == WilcoxonMethod::normal_pratt) sizes.push_back(std::abs(d));
  }
  if (method == WilcoxonMethod::automatic)
    method = result.n <= wilcoxon_exact_limit ? WilcoxonMethod::exact : WilcoxonMethod::normal_corrected;
  result.method = method;
  if (result.n == 0) return result;
  std::vector<double> ranks = average_ranks(sizes), ranks_of_others;
  std::size_t at = 0;
  for (const double d : differences) {
    if (d == 0 && method != WilcoxonMethod::normal_pratt) continue;
    const double rank = ranks[at++];
    if (d == 0) continue;
    ranks_of_others.push_back(rank);
    (d > 0 ? result.w_plus : result.w_minus) += rank;
  }
  if (method == WilcoxonMethod::exact) {
    const detail::RankSumTails tails(ranks_of_others, result.w_plus);
    result.p = detail::p_of_tails(tails.upper, tails.lower, alternative);
    return result;
  }
  const auto moments = [](double n) { return std::pair(n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24); };
  const auto all = moments(static_cast<double>(sizes.size())), zeros = moments(static_cast<double>(sizes.size()) - static_cast<double>(result.n));
  const double mean = all.first - zeros.first;
  const double deviation = std::sqrt(all.second - zeros.second - detail::tie_sum(ranks_of_others) / 48);
  double correction = 0;
  if (method == WilcoxonMethod::normal_corrected) {
    if (alternative == Alternative::two_sided) correction = result.w_plus == mean ? 0 : std::copysign(0.5, result.w_plus - mean);
    else correction = alternative == Alternative::greater ? 0.5 : -0.5;
  }
  const double z = (result.w_plus - mean - correction) / deviation;
  result.p = detail::p_of_tails(detail::normal_tail(z), detail::normal_tail(-z), alternative);
  return result;
}

/// a_i - b_i, rounded to multiples of `resolution`: two scores that are equal but for rounding differ by 0, and two such
/// differences tie.
///
/// Errors  ShapeError when lengths differ
inline std::vector<double> paired_differences(std::span<const double> a, std::span<const double> b, double resolution = 1e-9) {
  require_equal("paired_differences", "values of b", static_cast<Index>(b.size()), static_cast<Index>(a.size()));
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(std::round((a[i] - b[i]) / resolution) * resolution);
  return differences;
}

}  // namespace embedpool
