#pragma once
#include <doctest/doctest.h>

#include <vector>

#include "cuda/on_device.hpp"
#include "embedpool/loss/info_nce.hpp"

/// Contrastive batches on the host and on a device, and what a loss gives for them.
namespace embedpool::test::info_nce {

/// Sizes of a batch. The positives of other ranks lie around those of the queries.
struct Sizes {
  Index queries;
  Index before = 0, behind = 0;  ///< positives that are no query's
  Index negatives = 0;           ///< of each positive
  Index width = 24;
  bool documents = false;        ///< every third positive is the document of the one before, and every third negative one, too
};

struct Values {
  std::vector<float> queries, positives, negatives;
  std::vector<std::int64_t> documents;
  Index width, first;

  Values(const Sizes& s, unsigned seed) : width(s.width), first(s.before) {
    const Index rows = s.before + s.queries + s.behind;
    queries = random_elements<float>(s.queries * width, seed);
    positives = random_elements<float>(rows * width, seed + 1);
    negatives = random_elements<float>(rows * s.negatives * width, seed + 2);
    // Like real pairs: the positive resembles its query.
    for (std::size_t i = 0; i < queries.size(); ++i) positives[static_cast<std::size_t>(first * width) + i] += queries[i];
    for (Index j = 0; j < rows && s.documents; ++j) documents.push_back(j % 3 == 2 ? j - 1 : j);
    for (Index k = 0; k < rows * s.negatives && s.documents; ++k) documents.push_back(k % 3 == 2 ? k % rows : rows + k);
  }
};

/// What a loss gives for a batch: gradients in a row after the other, the loss, d loss / d scale.
struct Result {
  std::vector<float> dqueries, dpositives, dnegatives;
  double loss = 0, scale_gradient = 0;
};

inline Rows<const double> rows_of_width(const std::vector<double>& values, Index width) {
  return {values.data(), static_cast<Index>(values.size()) / width, width};
}

/// The CPU's result in double.
template <class Loss>
Result expected(const Loss& loss, const Values& x) {
  const auto wide = [](const std::vector<float>& v) { return std::vector<double>(v.begin(), v.end()); };
  const auto q = wide(x.queries), p = wide(x.positives), n = wide(x.negatives);
  std::vector<double> dq(q.size()), dp(p.size()), dn(n.size());
  const auto rows = [&](std::vector<double>& v) { return Rows<double>(v.data(), static_cast<Index>(v.size()) / x.width, x.width); };
  const ContrastiveBatch<double> batch{rows_of_width(q, x.width), rows_of_width(p, x.width), rows_of_width(n, x.width),
                                       x.documents, x.first};
  Result r;
  if constexpr (std::same_as<Loss, InfoNCE>) r.loss = loss(batch, {rows(dq), rows(dp), rows(dn)}, r.scale_gradient);
  else r.loss = loss(batch, {rows(dq), rows(dp), rows(dn)});
  const auto narrow = [](const std::vector<double>& v) { return std::vector<float>(v.begin(), v.end()); };
  r.dqueries = narrow(dq), r.dpositives = narrow(dp), r.dnegatives = narrow(dn);
  return r;
}

/// A batch in the device's memory, its gradients cleared.
struct OnDeviceBatch {
  OnDevice<float> queries, positives, negatives, dqueries, dpositives, dnegatives, loss, scale_gradient;
  OnDevice<std::int64_t> documents;
  Index first;

  OnDeviceBatch(TestDevice& device, const Values& x)
      : queries(matrix(device, x.queries, x)), positives(matrix(device, x.positives, x)),
        negatives(matrix(device, x.negatives, x)), dqueries(zeros(device, x.queries, x)),
        dpositives(zeros(device, x.positives, x)), dnegatives(zeros(device, x.negatives, x)),
        loss(device, std::vector<float>{0}), scale_gradient(device, std::vector<float>{0}), documents(device, x.documents),
        first(x.first) {}

  ContrastiveBatch<float> batch() const {
    return {queries.rows(), positives.rows(), negatives.rows(),
            {documents.data(), static_cast<std::size_t>(documents.rows().cols)}, first};
  }
  ContrastiveGradients<float> gradients() const { return {dqueries.rows(), dpositives.rows(), dnegatives.rows()}; }
  Result result() const {
    return {dqueries.values(), dpositives.values(), dnegatives.values(), loss.values()[0], scale_gradient.values()[0]};
  }

 private:
  static OnDevice<float> matrix(TestDevice& device, const std::vector<float>& v, const Values& x) {
    return {device, v, static_cast<Index>(v.size()) / x.width, x.width};
  }
  static OnDevice<float> zeros(TestDevice& device, const std::vector<float>& v, const Values& x) {
    return matrix(device, std::vector<float>(v.size()), x);
  }
};

/// What a float result may differ by: scores have the error of a few roundings, and a softmax that of its logits.
inline double bound(double largest_logit) { return 0x1p-24 * (32 + 16 * largest_logit); }

inline void check_equal(const Result& got, const Result& want, double tolerance) {
  CHECK(std::abs(got.loss - want.loss) <= tolerance * (1 + want.loss));
  CHECK(std::abs(got.scale_gradient - want.scale_gradient) <= tolerance * (1 + std::abs(want.scale_gradient)));
  // Relative to the largest gradient of all, one alone may be a difference of two like ones; and to 1e-3 where all are
  // 0 but for the CPU's rounding, as those of a query without negatives.
  std::vector<float> all{1e-3f}, all_wanted{1e-3f};
  for (const auto part : {&Result::dqueries, &Result::dpositives, &Result::dnegatives}) {
    all.insert(all.end(), (got.*part).begin(), (got.*part).end());
    all_wanted.insert(all_wanted.end(), (want.*part).begin(), (want.*part).end());
  }
  CHECK(relative_error(all, all_wanted) <= tolerance);
}

}  // namespace embedpool::test::info_nce
