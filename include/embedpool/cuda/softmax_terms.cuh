#pragma once
#include <algorithm>
#include <span>

#include "embedpool/cuda/device_buffer.hpp"
#include "embedpool/cuda/kernels/info_nce.cuh"
#include "embedpool/cuda/kernels/info_nce_own.cuh"
#include "embedpool/loss/softmax_terms.hpp"

namespace embedpool::cuda {

/// Scores that are resident at once.
struct ScoreBlockShape {
  Index rows = 1024;
  Index columns = 4096;
};

/// SoftmaxTerms on a device: the mean over queries of -log softmax of the positive, over several families of scores
/// whose rows lie in the device's memory.
///
/// Cost    2 passes of B x C x D; memory one block of scores (16 MB at the default shape, whatever B and C are; B x C
///         where that is less) and 5 B floats, kept for the next call
/// Errors  none; the caller has checked the batch
/// Oracle  embedpool::SoftmaxTerms
class DeviceSoftmaxTerms {
 public:
  explicit DeviceSoftmaxTerms(ScoreBlockShape shape = {}) : shape_(shape) {}

  /// Adds `weight` times the loss to *loss, times d loss / d scale to *scale_gradient unless that is null, and times the
  /// gradients to the families. The first family holds the positive. `own_documents` [B] numbers the queries' positives where
  /// families have numbers; all lie in the device's memory. Nothing is waited for.
  template <Device D>
  void run(D& device, std::span<const ScoreFamily<float>> families, ScalarArgument scale,
           const FalseNegatives& false_negatives, const std::int64_t* own_documents, float weight, float* loss,
           float* scale_gradient) {
    const ScoreFamily<float>& home = families.front();
    const Index queries = home.anchors.rows;
    const QuerySums sums = clear_sums(device, queries);
    device.launch(OwnScores{home.anchors, home.candidates.middle_rows(home.offset, queries),
                            Rows<float>(sums.positive, queries, 1)});
    const auto each_block = [&](auto&& f) {
      for (const ScoreFamily<float>& family : families)
        for_each_block(device, family, mask_of(family, false_negatives, own_documents), f);
    };

    each_block([&](const ScoreFamily<float>&, const ScoreBlock& block) {
      device.launch(InfoNceSums{block, scale, sums});
    });
    device.launch(InfoNceLosses{queries, sums});
    const float each = weight / static_cast<float>(queries);
    device.launch(AddSum{sums.loss, queries, each, loss});

    each_block([&](const ScoreFamily<float>& family, const ScoreBlock& block) {
      device.launch(InfoNceGradients{block, scale, sums, each});
      backward(device, family, block);
    });
    if (scale_gradient) device.launch(AddSum{sums.scale_share, queries, each, scale_gradient});
  }

  /// [B] the losses of the queries in the last call, in the device's memory.
  const float* query_losses() const noexcept { return losses_; }

 private:
  template <Device D>
  QuerySums clear_sums(D& device, Index queries) {
    const Rows<float> places = sums_.rows(device, 5, queries);
    device.clear(places.data, 5 * queries * Index(sizeof(float)));
    losses_ = places.row_data(3);
    return {places.row_data(0), places.row_data(1), places.row_data(2), places.row_data(3), places.row_data(4)};
  }

  static ScoreMask mask_of(const ScoreFamily<float>& family, const FalseNegatives& false_negatives,
                           const std::int64_t* own_documents) {
    ScoreMask mask;
    mask.offset = family.offset;
    mask.has_partner = family.partner != Partner::none;
    mask.partner_is_positive = family.partner == Partner::positive;
    if (!family.documents.empty()) mask.documents = family.documents.data(), mask.own_documents = own_documents;
    mask.has_margin = false_negatives.margin.has_value();
    mask.has_relative = false_negatives.relative.has_value();
    mask.margin = static_cast<float>(false_negatives.margin.value_or(0));
    mask.relative = static_cast<float>(false_negatives.relative.value_or(0));
    return mask;
  }

  /// Calls f(family, block) for every block of scores of a family, made just before.
  template <Device D, class F>
  void for_each_block(D& device, const ScoreFamily<float>& family, const ScoreMask& mask, F&& f) {
    const Index queries = family.anchors.rows;
    const Index columns = family.own > 0 ? family.own : std::min(shape_.columns, family.candidates.rows);
    const Index rows = std::clamp(shape_.rows * shape_.columns / columns, Index(1),
                                  family.own > 0 ? queries : std::min(shape_.rows, queries));
    const Rows<float> scratch = scores_.rows(device, rows, columns);
    for (Index i = 0; i < queries; i += rows) {
      const Index height = std::min(rows, queries - i);
      if (family.own > 0) {
        const ScoreBlock block{scratch.middle_rows(0, height), i, 0, true, mask};
        device.launch(OwnScores{family.anchors.middle_rows(i, height), own_rows(family, family.candidates, block),
                                block.scores});
        f(family, block);
        continue;
      }
      for (Index j = 0; j < family.candidates.rows; j += columns) {
        const Index width = std::min(columns, family.candidates.rows - j);
        const ScoreBlock block{scratch.middle_rows(0, height).middle_cols(0, width), i, j, false, mask};
        device.multiply(linear<float, float>(family.anchors.middle_rows(i, height),
                                             family.candidates.middle_rows(j, width), block.scores));
        f(family, block);
      }
    }
  }

  /// The candidates that belong to the queries of a block.
  template <class T>
  static Rows<T> own_rows(const ScoreFamily<float>& family, Rows<T> candidates, const ScoreBlock& block) {
    return candidates.middle_rows((family.offset + block.first_query) * family.own, block.scores.rows * family.own);
  }

  /// Adds the gradients that a block of derivatives gives.
  template <Device D>
  void backward(D& device, const ScoreFamily<float>& family, const ScoreBlock& block) {
    const Rows<const float> dscores = block.scores;
    const Rows<const float> a = family.anchors.middle_rows(block.first_query, dscores.rows);
    const Rows<float> da = family.anchor_gradient.middle_rows(block.first_query, dscores.rows);
    if (block.own) {
      device.launch(OwnScoresBackward{a, own_rows(family, family.candidates, block), dscores, da,
                                      own_rows(family, family.candidate_gradient, block)});
      return;
    }
    const Rows<const float> c = family.candidates.middle_rows(block.first_candidate, dscores.cols);
    const Rows<float> dc = family.candidate_gradient.middle_rows(block.first_candidate, dscores.cols);
    device.multiply(linear_input_gradient<float, float>(dscores, c, da, 1));
    device.multiply(linear_weight_gradient<float, float>(dscores, a, dc, 1));
  }

  ScoreBlockShape shape_;
  DeviceBuffer<float> scores_;
  DeviceBuffer<float> sums_;
  const float* losses_ = nullptr;
};

}  // namespace embedpool::cuda
