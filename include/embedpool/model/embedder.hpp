#pragma once
#include <optional>
#include <utility>

#include "embedpool/model/backbone.hpp"
#include "embedpool/model/trained_mask.hpp"
#include "embedpool/pooling/normalize.hpp"
#include "embedpool/pooling/pooling.hpp"

namespace embedpool {

/// A text-embedding model: a backbone under a mask, a pooling of its layers, and the explicit last steps.
///
///   embedding = finishing(pooling(layers of backbone(ids) under mask))         [B, D]
///
/// Layers stream from the backbone into the pooling, so memory does not grow with layers x tokens, and the backbone
/// leaves out what the pooling does not read. Members may be set freely between calls; encode is const, and callers
/// with a workspace each may share an Embedder.
///
/// Mask  `Causal` means as the model was trained: the window that its configuration names applies (with_trained_window)
template <Backbone BackboneType, MaskPolicy MaskType, class PoolingType>
class Embedder {
 public:
  using Scalar = typename BackboneType::Scalar;
  using Workspace = typename BackboneType::Workspace;
  using Mask = MaskType;
  using Pooling = PoolingType;
  using Params = typename Pooling::template Params<Scalar>;
  using Prepared = PreparedOf<Scalar, typename Pooling::Head>;

  BackboneType backbone;
  Params params{};  ///< what the pooling's head has learned; nothing for heads like Identity
  Pooling pooling{};
  Mask mask{};
  std::optional<Calibration<Scalar>> calibration{};
  Finishing finishing{};  ///< dimensions kept, L2 normalisation
  LastState last_state = LastState::normalized;

  /// Errors: ShapeError when the pooling does not fit the backbone (a layer that is not there).
  explicit Embedder(BackboneType model, Params learned = {}, Pooling pooled = {}, Mask seen = {})
      : backbone(std::move(model)), params(std::move(learned)), pooling(std::move(pooled)), mask(std::move(seen)) {
    pooling.check(backbone.layers(), backbone.width());
  }

  /// What the head does once for its parameters: keep it between calls of encode for as long as `params` stay the same.
  /// A large head with many fixed queries is worth it; most have nothing to prepare.
  template <Executor E>
  Prepared prepare(E& executor) const {
    return pooling.template prepare<Scalar>(params, executor);
  }

  /// One row a text: [B, output width], or fewer columns when `finishing` cuts them.
  ///
  /// Errors  ShapeError for ids outside the vocabulary, texts that the pooling cannot read, parameters that do not fit
  template <Executor E>
  Matrix<Scalar> encode(const Batch& batch, Workspace& workspace, E& executor,
                        const Prepared* prepared = nullptr) const {
    auto stream = pooling.template stream<Scalar>(params, batch.segments(), backbone.layers(), backbone.width(), executor,
                                                  calibration ? &*calibration : nullptr, KeepForBackward::no, prepared);
    with_trained_window(mask, backbone.trained_window(), [&](const auto& applied) {
      backbone.forward(batch, applied, stream, workspace, executor, last_state);
    });
    return finishing.forward(stream.finish(executor));
  }

  /// The same with memory of its own, on the default executor. For many calls keep a workspace.
  Matrix<Scalar> encode(const Batch& batch) const {
    Workspace workspace;
    DefaultExecutor executor;
    return encode(batch, workspace, executor);
  }
};

}  // namespace embedpool
