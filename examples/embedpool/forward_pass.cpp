#include "forward_pass.hpp"

#include <algorithm>
#include <memory>

#include "embedpool/pooling/calibration_stream.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "gpu/gpu_pass.hpp"

namespace embedpool::program {
namespace {

using RunTimePooling = Pooling<AnyLayers, AnyTokens, AnyHead>;

}  // namespace

AnyMask as_trained(const AnyMask& mask, Index window) {
  const bool plain = std::holds_alternative<Causal>(mask.choice);
  return plain && window > 0 ? AnyMask{CausalWindow{window}} : mask;
}

/// Any LayerSink behind one type, so that the decoder's forward pass is compiled once.
class ForwardPass::Sink {
 public:
  virtual ~Sink() = default;
  virtual Index last_layer() const = 0;
  virtual bool wants(Index layer) const = 0;
  virtual Interval reads(const TextShape& shape) const = 0;
  virtual void push(Index layer, const LayerStates<float>& states) = 0;

  template <class Stream>
  class Of;
  class Group;
};

template <class Stream>
class ForwardPass::Sink::Of final : public Sink {
 public:
  template <class... Arguments>
  explicit Of(Arguments&&... arguments) : stream(std::forward<Arguments>(arguments)...) {}
  Index last_layer() const override { return stream.last_layer(); }
  bool wants(Index layer) const override { return stream.wants(layer); }
  Interval reads(const TextShape& shape) const override { return stream.reads(shape); }
  void push(Index layer, const LayerStates<float>& states) override { stream.push(layer, states); }

  Stream stream;
};

/// Several sinks as one: what any of them wants, to each what it wants.
class ForwardPass::Sink::Group {
 public:
  explicit Group(std::span<Sink* const> sinks) : sinks_(sinks) {}
  Index last_layer() const {
    Index last = 0;
    for (const Sink* sink : sinks_) last = std::max(last, sink->last_layer());
    return last;
  }
  bool wants(Index layer) const {
    return std::any_of(sinks_.begin(), sinks_.end(), [&](const Sink* sink) { return sink->wants(layer); });
  }
  /// A sink whose last layer comes earlier is pushed all tokens there, so only those that read the last one count.
  Interval reads(const TextShape& shape) const {
    const Index last = last_layer();
    Interval all{};
    for (const Sink* sink : sinks_)
      if (sink->wants(last)) all = hull(all, sink->reads(shape));
    return all;
  }
  void push(Index layer, const LayerStates<float>& states) {
    for (Sink* sink : sinks_)
      if (sink->wants(layer)) sink->push(layer, states);
  }

 private:
  std::span<Sink* const> sinks_;
};

ForwardPass::ForwardPass(const Decoder<float>& decoder, const AnyMask& mask, const AnyCompute& compute, Index threads,
                         std::string_view device)
    : decoder_(decoder.with_compute(compute)), mask_(as_trained(mask, decoder.trained_window())), executor_(threads) {
  if (device == "cuda") gpu_ = gpu_pass(decoder, mask_, compute);
}
ForwardPass::~ForwardPass() = default;

void ForwardPass::run(const Batch& batch, std::span<Sink* const> sinks) {
  decoder_.forward(batch, mask_, Sink::Group(sinks), workspace_, executor_, LastState::normalized);
}

void ForwardPass::prepare(Reading& reading) {
  const RunTimePooling pooling{reading.layers, reading.tokens, reading.head};
  reading.prepared =
      std::make_shared<const PreparedOf<float, AnyHead>>(pooling.prepare<float>(reading.params, executor_));
}

std::vector<Matrix<float>> ForwardPass::embed(const Batch& batch, std::span<const Reading> readings) {
  if (gpu_) return gpu_->embed(batch, readings);
  using Stream = PoolingStream<float, RunTimePooling, ThreadPool>;
  std::vector<std::unique_ptr<Sink::Of<Stream>>> streams;
  std::vector<Sink*> sinks;
  for (const Reading& reading : readings) {
    const RunTimePooling pooling{reading.layers, reading.tokens, reading.head};
    pooling.check(decoder_.layers(), decoder_.width());
    streams.push_back(std::make_unique<Sink::Of<Stream>>(
        pooling, reading.params, batch.segments(), decoder_.layers(), decoder_.width(), executor_,
        reading.calibration ? &*reading.calibration : nullptr, KeepForBackward::no,
        reading.prepared.get()));
    sinks.push_back(streams.back().get());
  }
  run(batch, sinks);
  std::vector<Matrix<float>> embeddings;
  for (std::size_t i = 0; i < streams.size(); ++i)
    embeddings.push_back(readings[i].finishing.forward(streams[i]->stream.finish(executor_)));
  return embeddings;
}

void ForwardPass::add_keys(const Batch& batch, const Reading& reading, KeyCache<float>& cache) {
  if (gpu_) {
    const Matrix<float> keys = gpu_->keys(batch, {&reading, 1}).front();
    const KeyLayout layout(reading.tokens, batch.segments(), reading.layers.count(decoder_.layers()));
    for (Index b = 0; b < batch.segments().size(); ++b)
      cache.add({rows_of(keys).middle_rows(layout.first_key(b), layout.keys(b)), layout.kinds(b)});
    return;
  }
  const RunTimePooling pooling{reading.layers, reading.tokens, reading.head};
  Sink::Of<PoolingStream<float, RunTimePooling, ThreadPool>> sink(
      pooling, reading.params, batch.segments(), decoder_.layers(), decoder_.width(), executor_,
      reading.calibration ? &*reading.calibration : nullptr, KeepForBackward::yes);
  Sink* const sinks[] = {&sink};
  run(batch, sinks);
  for (Index b = 0; b < batch.segments().size(); ++b) cache.add(sink.stream.keys(b));
}

void ForwardPass::calibrate(const Batch& batch, std::span<const Reading> readings,
                            std::span<CalibrationEstimator> estimators) {
  if (gpu_) {
    const std::vector<Matrix<float>> keys = gpu_->keys(batch, readings);
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const KeyLayout layout(readings[i].tokens, batch.segments(), readings[i].layers.count(decoder_.layers()));
      for (Index b = 0; b < batch.segments().size(); ++b) {
        estimators[i].next_text();
        estimators[i].add<float>(layout.kinds(b), rows_of(keys[i]).middle_rows(layout.first_key(b), layout.keys(b)));
      }
    }
    return;
  }
  using Stream = CalibrationStream<AnyLayers, AnyTokens>;
  std::vector<std::unique_ptr<Sink::Of<Stream>>> streams;
  std::vector<Sink*> sinks;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    streams.push_back(std::make_unique<Sink::Of<Stream>>(readings[i].layers, readings[i].tokens, batch.segments(),
                                                         decoder_.layers(), decoder_.width(), estimators[i]));
    sinks.push_back(streams.back().get());
  }
  run(batch, sinks);
}

}  // namespace embedpool::program
