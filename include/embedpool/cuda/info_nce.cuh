#pragma once
#include <vector>

#include "embedpool/cuda/kernels/unit_rows.cuh"
#include "embedpool/cuda/softmax_terms.cuh"
#include "embedpool/loss/info_nce.hpp"

namespace embedpool::cuda {

/// Rows scaled to length one and the gradient of the units, with their memory.
class UnitRowsBuffer {
 public:
  /// The units; their gradient begins at zero.
  template <Device D>
  Rows<const float> forward(D& device, Rows<const float> x) {
    units_ = unit_memory_.rows(device, x.rows, x.cols);
    gradient_ = gradient_memory_.rows(device, x.rows, x.cols);
    device.clear(gradient_.data, x.rows * x.cols * Index(sizeof(float)));
    device.launch(UnitRows<float>{x, units_, length_memory_.reserve(device, x.rows)});
    return units_;
  }
  Rows<float> gradient() const noexcept { return gradient_; }

  /// dx += the gradient through the normalisation
  template <Device D>
  void backward(D& device, Rows<float> dx) {
    device.launch(UnitRowsBackward<float>{units_, length_memory_.data(), gradient_, dx});
  }

 private:
  DeviceBuffer<float> unit_memory_, gradient_memory_, length_memory_;
  Rows<float> units_{}, gradient_{};
};

/// InfoNCE on a device: embedpool::InfoNCE with all of its options.
///
/// The batch and the gradients are those of the CPU with rows and document numbers in the device's memory. Rows may be
/// the first columns of longer ones, so Matryoshka is a call for each cut with its weight.
///
/// Cost    as DeviceSoftmaxTerms; with cosine also units of all embeddings and their gradients, 2 (B + P + P K) D floats
/// Errors  ShapeError for parts that do not fit
/// Oracle  embedpool::InfoNCE
class DeviceInfoNce {
 public:
  explicit DeviceInfoNce(const InfoNCE& options, ScoreBlockShape shape = {})
      : options_(options), terms_(shape), reverse_terms_(shape) {
    require_in("DeviceInfoNce", "rows of a block of scores", shape.rows, 1, Index(1) << 24);
    require_in("DeviceInfoNce", "columns of a block of scores", shape.columns, 1, Index(1) << 24);
  }

  /// Adds `weight` times the loss to *loss, times its derivatives to the gradients, and times d loss / d scale to
  /// *scale_gradient unless that is null; all are in the device's memory, and nothing is waited for. A `scale` in the
  /// device's memory takes the place of the options', for a learned one.
  template <Device D>
  void run(D& device, const ContrastiveBatch<float>& batch, const ContrastiveGradients<float>& gradients, float* loss,
           float* scale_gradient = nullptr, float weight = 1, const float* scale = nullptr) {
    batch.check_unscored();
    gradients.check(batch);
    const Output out{{static_cast<float>(options_.scale), scale}, weight, loss, scale_gradient};
    if (options_.similarity == Similarity::dot) return of_products(device, batch, gradients, out);
    const ContrastiveBatch<float> units{queries_.forward(device, batch.queries), positives_.forward(device, batch.positives),
                                        negatives_.forward(device, batch.negatives), batch.documents,
                                        batch.first_positive};
    of_products(device, units, {queries_.gradient(), positives_.gradient(), negatives_.gradient()}, out);
    queries_.backward(device, gradients.queries);
    positives_.backward(device, gradients.positives);
    negatives_.backward(device, gradients.negatives);
  }

  /// [B] the losses of the queries in the last call (with `symmetric` the half that begins at queries), unweighted.
  const float* query_losses() const noexcept { return terms_.query_losses(); }

 private:
  struct Output {
    ScalarArgument scale;
    float weight;
    float* loss;
    float* scale_gradient;
  };

  template <Device D>
  void of_products(D& device, const ContrastiveBatch<float>& x, const ContrastiveGradients<float>& dx, const Output& out) {
    const Index first = x.first_positive;
    const Rows<const float> own_positives = x.positives.middle_rows(first, x.queries.rows);
    const Rows<float> own_positive_gradients = dx.positives.middle_rows(first, x.queries.rows);
    const Index own = options_.in_batch ? 0 : 1;

    families_.clear();
    families_.push_back(
        {x.queries, x.positives, dx.queries, dx.positives, Partner::positive, first, own, x.positive_documents()});
    if (x.negatives.rows > 0)
      families_.push_back({x.queries, x.negatives, dx.queries, dx.negatives, Partner::none, first,
                           options_.in_batch && !options_.own_negatives_only ? 0 : x.negatives_per_query(),
                           x.negative_documents()});
    if (options_.query_query && options_.in_batch)
      families_.push_back({x.queries, x.queries, dx.queries, dx.queries, Partner::itself, 0, 0});
    if (options_.document_document && options_.in_batch)
      families_.push_back({own_positives, x.positives, own_positive_gradients, dx.positives, Partner::itself, first, 0,
                           x.positive_documents()});
    const float half = options_.symmetric ? 0.5f : 1.0f;
    terms_.run(device, families_, out.scale, options_.false_negatives, x.own_documents().data(), half * out.weight, out.loss,
               out.scale_gradient);
    if (!options_.symmetric) return;

    families_.assign(1, {own_positives, x.queries, own_positive_gradients, dx.queries, Partner::positive, 0, own,
                         x.own_documents()});
    reverse_terms_.run(device, families_, out.scale, options_.false_negatives, x.own_documents().data(), 0.5f * out.weight,
                       out.loss, out.scale_gradient);
  }

  InfoNCE options_;
  UnitRowsBuffer queries_, positives_, negatives_;
  DeviceSoftmaxTerms terms_, reverse_terms_;
  std::vector<ScoreFamily<float>> families_;
};

}  // namespace embedpool::cuda
