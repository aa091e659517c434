#pragma once
#include <array>
#include <memory>

#include "embedpool/cuda/info_nce.cuh"

namespace embedpool::cuda {

/// InfoNCE of embeddings on the host, computed on a device: they go there, and their gradients come back. For a Trainer of a
/// DeviceTrainedEmbedder; batches of thousands would take longer on the host than the model takes on a GPU.
///
/// Copies share memory on the device, which grows to the largest batch.
///
/// Errors    those of DeviceInfoNce and the device
/// Requires  the device outlives this
/// Oracle    embedpool::InfoNCE
template <Device D>
struct InfoNceOn : InfoNCE {
  explicit InfoNceOn(D& device, const InfoNCE& options = {})
      : InfoNCE(options), device_(&device), memory_(std::make_shared<Memory>()) {}

  double operator()(const ContrastiveBatch<float>& batch, const ContrastiveGradients<float>& gradients) const {
    double unused = 0;
    return (*this)(batch, gradients, unused);
  }
  /// Also adds d loss / d scale, for a learned scale.
  double operator()(const ContrastiveBatch<float>& batch, const ContrastiveGradients<float>& gradients,
                    double& scale_gradient) const {
    batch.check_unscored();
    gradients.check(batch);
    const Index queries = batch.queries.rows, positives = batch.positives.rows, negatives = batch.negatives.rows;
    Matrix<float> host(queries + positives + negatives, batch.queries.cols);  // packed: they may be cut from longer rows
    host.topRows(queries) = as_eigen(batch.queries);
    host.middleRows(queries, positives) = as_eigen(batch.positives);
    if (negatives > 0) host.bottomRows(negatives) = as_eigen(batch.negatives);

    const Index bytes = host.size() * Index(sizeof(float));
    const Rows<float> x = memory_->embeddings.rows(*device_, host.rows(), host.cols());
    const Rows<float> dx = memory_->gradients.rows(*device_, host.rows(), host.cols());
    float* const sums = memory_->sums.reserve(*device_, 2);  // the loss, and d loss / d scale
    device_->copy_in(x.data, host.data(), bytes);
    device_->clear(dx.data, bytes);
    device_->clear(sums, 2 * Index(sizeof(float)));
    const std::int64_t* const documents = memory_->documents.upload(*device_, batch.documents);

    const auto parts = [&](auto rows) {
      return std::array{rows.middle_rows(0, queries), rows.middle_rows(queries, positives),
                        rows.middle_rows(queries + positives, negatives)};
    };
    const auto [q, p, n] = parts(Rows<const float>(x));
    const auto [dq, dp, dn] = parts(dx);
    DeviceInfoNce loss(*this);
    loss.run(*device_, {q, p, n, {documents, batch.documents.size()}, batch.first_positive}, {dq, dp, dn}, sums, sums + 1);
    std::array<float, 2> result{};
    device_->copy_out(result.data(), sums, Index(sizeof result));
    device_->wait();  // before the host's copy is written again
    device_->copy_out(host.data(), dx.data, bytes);
    device_->wait();

    as_eigen(gradients.queries) += host.topRows(queries);
    as_eigen(gradients.positives) += host.middleRows(queries, positives);
    if (negatives > 0) as_eigen(gradients.negatives) += host.bottomRows(negatives);
    scale_gradient += static_cast<double>(result[1]);
    return static_cast<double>(result[0]);
  }

 private:
  struct Memory {
    DeviceBuffer<float> embeddings, gradients, sums;
    DeviceBuffer<std::int64_t> documents;
  };
  D* device_;
  std::shared_ptr<Memory> memory_;
};

}  // namespace embedpool::cuda
