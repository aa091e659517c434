#pragma once
#include <cstdint>
#include <limits>

#include "embedpool/cuda/grid/kernel.hpp"

namespace embedpool::cuda {

/// Which scores of a block are terms of a denominator, for one query: what ScoreMask says, made ready for columns.
struct RowMask {
  Index partner = -1;                       ///< column of the positive, or of the query itself
  const std::int64_t* documents = nullptr;  ///< of the block's columns; null: all differ
  std::int64_t own_document = 0;
  float threshold = std::numeric_limits<float>::infinity();

  /// Whether a score stands in the sum as one beside the positive; a NaN does, so that it shows.
  constexpr bool keeps(Index column, float score) const noexcept {
    return column != partner && !(score > threshold) && !(documents && documents[column] == own_document);
  }
};

/// What the candidates of a family of scores are to the queries, for all blocks of the family.
///
/// Oracle  embedpool::SoftmaxTerms::is_dropped, embedpool::FalseNegatives
struct ScoreMask {
  Index offset = 0;                         ///< query i's partner is candidate offset + i, where there is one
  bool has_partner = false;                 ///< candidate offset + i is the positive, or the query itself
  bool partner_is_positive = false;
  const std::int64_t* documents = nullptr;  ///< numbers of the candidates; null: all differ
  const std::int64_t* own_documents = nullptr;  ///< [B] of the queries' positives, where candidates have numbers
  bool has_margin = false;
  bool has_relative = false;
  float margin = 0;    ///< drops s > positive + margin
  float relative = 0;  ///< drops s > relative positive

  /// For the columns of a block that begins with candidate `first_candidate`.
  constexpr RowMask row(Index query, Index first_candidate, float positive) const noexcept {
    RowMask mask;
    if (has_partner) mask.partner = offset + query - first_candidate;
    if (documents) {
      mask.documents = documents + first_candidate;
      mask.own_document = own_documents[query];
    }
    if (has_margin) mask.threshold = positive + margin;
    if (has_relative && relative * positive < mask.threshold) mask.threshold = relative * positive;
    return mask;
  }
};

}  // namespace embedpool::cuda
