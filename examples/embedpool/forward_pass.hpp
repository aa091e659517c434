#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string_view>
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
#include "embedpool/train/key_cache.hpp"

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

/// The mask that `mask` means for a model with a causal window (0: none): see with_trained_window.
AnyMask as_trained(const AnyMask& mask, Index window);

class GpuPass;

/// Forward passes of a decoder under one mask, each read in as many ways as wanted.
class ForwardPass {
 public:
  /// `mask` causal means as the model was trained, with its window. `threads` 0: the cores that the process may use.
  /// `device` cuda: passes run on a GPU.
  /// Errors: Error when the GPU is wanted and cannot be had
  ForwardPass(const Decoder<float>& decoder, const AnyMask& mask, const AnyCompute& compute, Index threads,
              std::string_view device);
  ~ForwardPass();

  /// Does the work of the reading's head that its parameters leave the same for all batches.
  void prepare(Reading& reading);

  /// For each reading the embeddings of the batch, [texts, width].
  std::vector<Matrix<float>> embed(const Batch& batch, std::span<const Reading> readings);

  /// Adds the keys of the batch's texts to the cache, calibrated, as the reading's head would see them.
  void add_keys(const Batch& batch, const Reading& reading, KeyCache<float>& cache);

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
  std::unique_ptr<GpuPass> gpu_;  ///< null on the CPU
};

}  // namespace embedpool::program
