#pragma once
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "embedpool/attention/any_mask.hpp"
#include "embedpool/core/thread_pool.hpp"
#include "embedpool/model/decoder.hpp"
#include "embedpool/nn/any_compute.hpp"
#include "embedpool/pooling/any_head.hpp"
#include "embedpool/pooling/any_layers.hpp"
#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/calibration_estimator.hpp"
#include "embedpool/pooling/normalize.hpp"

namespace embedpool::program {

/// One way of turning the layers of a forward pass into embeddings.
struct Reading {
  AnyLayers layers{};
  AnyTokens tokens{};
  AnyHead head{};
  AnyHead::Params<float> params{};
  std::shared_ptr<const PreparedOf<float, AnyHead>> prepared{};  ///< by ForwardPass::prepare(), when params are final
  std::optional<Calibration<float>> calibration{};
  Finishing finishing{};

  Index slots(Index model_layers) const { return layers.count(model_layers) * tokens.slots(); }
};

/// Forward passes of a decoder under one mask, each read in as many ways as wanted.
class ForwardPass {
 public:
  /// `mask` causal means as the model was trained, with its window. `threads` 0: the cores that the process may use.
  ForwardPass(const Decoder<float>& decoder, const AnyMask& mask, const AnyCompute& compute, Index threads);

  /// Does the work of the reading's head that its parameters leave the same for all batches.
  void prepare(Reading& reading);

  /// For each reading the embeddings of the batch, [texts, width].
  std::vector<Matrix<float>> embed(const Batch& batch, std::span<const Reading> readings);

  /// Gives the keys of each reading to the estimator at its place.
  void calibrate(const Batch& batch, std::span<const Reading> readings, std::span<CalibrationEstimator> estimators);

  const AnyMask& applied_mask() const noexcept { return mask_; }

 private:
  class Sink;
  void run(const Batch& batch, std::span<Sink* const> sinks);

  Decoder<float, AnyCompute> decoder_;
  AnyMask mask_;
  ThreadPool executor_;
  DecoderWorkspace<float> workspace_;
};

}  // namespace embedpool::program
