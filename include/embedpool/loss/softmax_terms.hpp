#pragma once
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "embedpool/core/serial_products.hpp"
#include "embedpool/loss/contrastive_batch.hpp"

namespace embedpool {

/// Which scores are dropped from a denominator as probable false negatives. The mask is a constant in the gradient.
struct FalseNegatives {
  std::optional<double> margin{};    ///< drop s_ij > s_ii + margin (Qwen3-Embedding, arXiv 2506.05176: 0.1)
  std::optional<double> relative{};  ///< drop s_ij > relative * s_ii (NV-Retriever, arXiv 2407.15831: 0.95)

  bool drops(double score, double positive) const noexcept {
    return (margin && score > positive + *margin) || (relative && score > *relative * positive);
  }
};

/// What candidate `offset + i` is to query i: its positive, itself (no term), or a candidate like the others.
enum class Partner { positive, itself, none };

/// One family of scores s_ij = a_i . c_j that stand in the denominator of query i.
template <Real S>
struct ScoreFamily {
  Rows<const S> anchors;       // [B, D]
  Rows<const S> candidates;    // [C, D]
  Rows<S> anchor_gradient;     // [B, D]
  Rows<S> candidate_gradient;  // [C, D]
  Partner partner = Partner::none;
  Index offset = 0;        ///< of the partner, and of query i's own candidates
  Index own = 0;           ///< 0: every candidate is a term; k: only candidates [(offset + i) k, (offset + i) k + k)
  /// [C] numbers of the candidates: the same document as query i's own is no term; empty: none is
  std::span<const std::int64_t> documents{};
};

/// Mean over queries of -log softmax of the positive, over the union of several families of scores:
///
///   loss = 1/B sum_i [ log( sum over kept terms exp(scale s_ij) ) - scale s_i,positive ]
///
/// The first family holds the positive, which is never dropped. The [B, C] logits are never resident: a first pass
/// keeps the log-sum-exp of every row, a second one recomputes blocks of scores for the gradients.
///
/// Cost    2 passes of B x C x D, scratch one block; sequential order, so the result depends on the batch alone
/// Errors  none; the caller has checked the batch
template <Real S>
class SoftmaxTerms {
 public:
  /// `own_documents` [B] numbers the queries' positives, where families have numbers.
  SoftmaxTerms(std::vector<ScoreFamily<S>> families, double scale, FalseNegatives false_negatives,
               std::span<const std::int64_t> own_documents)
      : families_(std::move(families)), scale_(scale), false_negatives_(false_negatives), own_documents_(own_documents) {
    const ScoreFamily<S>& home = families_.front();
    for (Index i = 0; i < home.anchors.rows; ++i)
      positive_.push_back(as_eigen(home.anchors).row(i).dot(as_eigen(home.candidates).row(home.offset + i)));
  }

  /// The loss; adds `weight` times its gradients to the families.
  double operator()(double weight) {
    const SerialProducts same_bits_for_any_threads;
    const Index queries = static_cast<Index>(positive_.size());
    std::vector<double> largest(positive_.size(), -std::numeric_limits<double>::infinity());
    std::vector<double> sum(positive_.size(), 0.0);
    for (const ScoreFamily<S>& family : families_)
      for_each_block(family, [&](Index i, Index, const Matrix<S>& scores, Index row) {
        const auto k = static_cast<std::size_t>(i);
        for (Index j = 0; j < scores.cols(); ++j) {
          const double logit = scale_ * static_cast<double>(scores(row, j));
          if (logit == -std::numeric_limits<double>::infinity()) continue;
          if (logit > largest[k]) {
            sum[k] = sum[k] * std::exp(largest[k] - logit) + 1.0;
            largest[k] = logit;
          } else {
            sum[k] += std::exp(logit - largest[k]);
          }
        }
      }, [](Index, Index, Matrix<S>&) {});

    double loss = 0.0;
    std::vector<double> log_sum(positive_.size());
    for (std::size_t k = 0; k < positive_.size(); ++k) {
      log_sum[k] = largest[k] + std::log(sum[k]);
      loss += log_sum[k] - scale_ * static_cast<double>(positive_[k]);
    }

    const double each = weight * scale_ / static_cast<double>(queries);
    scale_gradient_ = 0.0;
    for (const ScoreFamily<S>& family : families_)
      for_each_block(family, [&](Index i, Index first_column, Matrix<S>& scores, Index row) {
        for (Index j = 0; j < scores.cols(); ++j) {
          const double score = static_cast<double>(scores(row, j));
          // d loss / d s_ij = scale / B (softmax_ij - [j is the positive])
          const double share = std::exp(scale_ * score - log_sum[static_cast<std::size_t>(i)]) -
                               (is_positive(family, i, first_column + j) ? 1.0 : 0.0);
          if (std::isfinite(score)) scale_gradient_ += share * score * weight / static_cast<double>(queries);
          scores(row, j) = static_cast<S>(each * share);
        }
      }, [&](Index i, Index first_column, Matrix<S>& d_score) {
        auto da = as_eigen(family.anchor_gradient.middle_rows(i, d_score.rows()));
        auto dc = as_eigen(family.candidate_gradient.middle_rows(first_column, d_score.cols()));
        const auto a = as_eigen(family.anchors.middle_rows(i, d_score.rows()));
        const auto c = as_eigen(family.candidates.middle_rows(first_column, d_score.cols()));
        da.noalias() += d_score * c;
        dc.noalias() += d_score.transpose() * a;
      });
    return weight * loss / static_cast<double>(queries);
  }

  /// d loss / d scale of the last call, for a learned scale.
  double scale_gradient() const noexcept { return scale_gradient_; }

 private:
  static constexpr Index block_rows = 64;
  static constexpr Index block_columns = 256;

  static bool is_positive(const ScoreFamily<S>& family, Index i, Index column) noexcept {
    return family.partner == Partner::positive && column == family.offset + i;
  }

  /// Of candidates that are not the positive.
  bool is_dropped(const ScoreFamily<S>& family, Index i, Index column, double score) const {
    if (family.partner == Partner::itself && column == family.offset + i) return true;
    if (!family.documents.empty() &&
        family.documents[static_cast<std::size_t>(column)] == own_documents_[static_cast<std::size_t>(i)])
      return true;
    return false_negatives_.drops(score, static_cast<double>(positive_[static_cast<std::size_t>(i)]));
  }

  /// Calls row(i, first column, scores, row in block) for every row of every block of scores, dropped ones being
  /// -infinity, then block(first row, first column, scores).
  template <class Row, class Block>
  void for_each_block(const ScoreFamily<S>& family, Row&& row, Block&& block) const {
    const Index rows_at_once = family.own > 0 ? 1 : block_rows;
    for (Index i = 0; i < family.anchors.rows; i += rows_at_once) {
      const Index rows = std::min(rows_at_once, family.anchors.rows - i);
      const Index begin = family.own > 0 ? (family.offset + i) * family.own : 0;
      const Index end = family.own > 0 ? begin + family.own : family.candidates.rows;
      for (Index j = begin; j < end; j += block_columns) {
        const Index columns = std::min(block_columns, end - j);
        Matrix<S> scores = as_eigen(family.anchors.middle_rows(i, rows)) *
                           as_eigen(family.candidates.middle_rows(j, columns)).transpose();
        for (Index r = 0; r < rows; ++r) {
          for (Index c = 0; c < columns; ++c) {
            if (is_positive(family, i + r, j + c))  // the very score that the loss subtracts: a loss is never below 0
              scores(r, c) = positive_[static_cast<std::size_t>(i + r)];
            else if (is_dropped(family, i + r, j + c, static_cast<double>(scores(r, c))))
              scores(r, c) = -std::numeric_limits<S>::infinity();
          }
          row(i + r, j, scores, r);
        }
        block(i, j, scores);
      }
    }
  }

  std::vector<ScoreFamily<S>> families_;
  double scale_;
  FalseNegatives false_negatives_;
  std::span<const std::int64_t> own_documents_;
  std::vector<S> positive_;
  double scale_gradient_ = 0.0;
};

}  // namespace embedpool
