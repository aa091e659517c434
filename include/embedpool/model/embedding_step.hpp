#pragma once
#include <utility>

#include "embedpool/model/decoder_training.hpp"
#include "embedpool/model/trained_mask.hpp"
#include "embedpool/pooling/normalize.hpp"
#include "embedpool/pooling/pooling.hpp"

namespace embedpool {

/// What turns a decoder's layers into embeddings, in training: the parts of an Embedder but the backbone.
template <Real S, MaskPolicy MaskType, class PoolingType>
struct TrainedReading {
  using Scalar = S;
  using Mask = MaskType;
  using Pooling = PoolingType;
  using Params = typename Pooling::template Params<S>;

  const Pooling& pooling;
  const Params& params;
  Mask mask{};
  const Calibration<S>* calibration = nullptr;
  Finishing finishing{};
  LastState last_state = LastState::normalized;
};

/// Embeds a batch and goes back: `derivative(embeddings)` is called once with e [B, D'], after the finishing, and returns
/// de. Gradients of the decoder are added to model.gradients, those of the head to `dparams`. `Causal` means as the model
/// was trained (with_trained_window).
///
/// Errors  those of DecoderTraining and of the pooling
template <Real S, MaskPolicy M, class P, class Derivative, Executor E>
void embedding_step(const TrainedDecoder<S>& model, const TrainedReading<S, M, P>& reading, const Batch& batch,
                    const DropoutKey& dropout, Derivative&& derivative, typename P::template Params<S>& dparams,
                    DecoderTraining<S>& training, E& executor) {
  auto stream = reading.pooling.template stream<S>(reading.params, batch.segments(), model.decoder.layers(),
                                                   model.decoder.width(), executor, reading.calibration, KeepForBackward::yes);
  with_trained_window(reading.mask, model.decoder.trained_window(), [&](const auto& mask) {
    training.forward(model, batch, mask, stream, executor, dropout, reading.last_state);
    const Matrix<S> pooled = stream.finish(executor);
    const Matrix<S> de = std::forward<Derivative>(derivative)(reading.finishing.forward(pooled));
    Matrix<S> dpooled = Matrix<S>::Zero(pooled.rows(), pooled.cols());
    reading.finishing.backward(pooled, rows_of(de), rows_of(dpooled));
    stream.backward(rows_of(std::as_const(dpooled)), dparams, executor);
    training.backward(model, batch, mask, stream, executor);
  });
}

/// The embeddings alone, with LoRA and dropout: the first pass of a gradient cache.
template <Real S, MaskPolicy M, class P, Executor E>
Matrix<S> embed_in_training(const TrainedDecoder<S>& model, const TrainedReading<S, M, P>& reading, const Batch& batch,
                            const DropoutKey& dropout, DecoderTraining<S>& training, E& executor) {
  auto stream = reading.pooling.template stream<S>(reading.params, batch.segments(), model.decoder.layers(),
                                                   model.decoder.width(), executor, reading.calibration);
  with_trained_window(reading.mask, model.decoder.trained_window(), [&](const auto& mask) {
    training.forward_only(model, batch, mask, stream, executor, dropout, reading.last_state);
  });
  return reading.finishing.forward(stream.finish(executor));
}

}  // namespace embedpool
