#pragma once
// A training pass of a random decoder, there and back, for tests of gradients.
#include "embedpool/model/decoder_training.hpp"
#include "model/random_decoder.hpp"
#include "model/weighted_sink.hpp"

namespace embedpool::test {

inline std::vector<std::string> dense_architectures() {
  std::vector<std::string> names = architectures();
  std::erase(names, "mixtral");
  return names;
}

/// A pass forward and back: what the sink and the gradients hold afterwards.
template <Real S, MaskPolicy M, class E>
WeightedSink<S> train(const TrainedDecoder<S>& model, const Batch& batch, const M& mask, WeightedSink<S> sink, E& executor,
                      const DropoutKey& dropout = {}, Index kept = DecoderTraining<S>::every_block,
                      LastState last_state = LastState::normalized) {
  DecoderTraining<S> training(kept);
  training.forward(model, batch, mask, sink, executor, dropout, last_state);
  if (model.gradients != nullptr) training.backward(model, batch, mask, sink, executor);
  return sink;
}

}  // namespace embedpool::test
