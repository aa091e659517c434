#pragma once
#include <span>

#include "embedpool/core/serial_products.hpp"
#include "embedpool/pooling/layers.hpp"
#include "embedpool/pooling/pooling_stream.hpp"

namespace embedpool {

/// From the layers of a batch to one embedding a text: which layers, which tokens of them become keys, and what a head
/// makes of the keys.
///
///   Pooling<LastLayer, LastToken, Identity>                     the last token's state
///   Pooling<EveryLayer, TokenMean, CrossAttention>              attention over one mean a layer
///
/// A pooling is three small values; what is learned lies in Params<S>. Feed it through `stream` as layers come, or
/// give `run` all of them at once. L counts layers as `hidden_states` of Hugging Face does: L + 1 states, 0 to L.
template <LayersPolicy LayersType, class TokensType, class HeadType>
requires TokensPolicy<TokensType, float> && HeadPolicy<HeadType, float>
struct Pooling {
  using Layers = LayersType;
  using Tokens = TokensType;
  using Head = HeadType;
  template <Real S>
  using Params = typename Head::template Params<S>;

  Layers layers{};
  Tokens tokens{};
  Head head{};

  /// How many kinds of keys there are: rows of a layer table and of a calibration.
  Index slots(Index model_layers) const { return layers.count(model_layers) * tokens.slots(); }
  Index output_width(Index width) const { return head.output_width(width); }

  /// Errors: ShapeError when a model of so many layers and that width cannot be pooled like this.
  void check(Index model_layers, Index width) const {
    layers.check(model_layers);
    require_in("Pooling", "width of the states", width, 1, Index(1) << 24);
  }

  /// What the head can do once for its parameters and all batches: queries projected and folded, weights packed. A
  /// stream does it by itself unless it is given; whoever pools many batches keeps it until the parameters change.
  template <Real S, Executor E>
  PreparedOf<S, Head> prepare(const Params<S>& params, E& executor) const {
    const SerialProducts serial;
    return prepare_head<S>(head, params, ExecutorRef(executor));
  }
  /// dparams += what the gradient of prepared work, summed over the streams of a step, stands for.
  template <Real S, Executor E>
  void chain(const Params<S>& params, const PreparedOf<S, Head>& prepared, const PreparedGradientOf<S, Head>& dprepared,
             Params<S>& dparams, E& executor) const {
    chain_prepared<S>(head, params, prepared, dprepared, dparams, ExecutorRef(executor));
  }

  /// A sink for one batch of texts lying as `segments` says, in a model of L = `model_layers` layers of `width`.
  /// Heads that take rows unchanged run while layers are pushed, on `executor`; so does reading.
  template <Real S, Executor E>
  PoolingStream<S, Pooling, E> stream(const Params<S>& params, const Segments& segments, Index model_layers,
                                      Index width, E& executor, const Calibration<S>* calibration = nullptr,
                                      KeepForBackward keep = KeepForBackward::no,
                                      const PreparedOf<S, Head>* prepared = nullptr) const {
    check(model_layers, width);
    return {*this, params, segments, model_layers, width, executor, calibration, keep, prepared};
  }
  /// The same on the calling thread, until finish(executor).
  template <Real S>
  PoolingStream<S, Pooling, SerialExecutor> stream(const Params<S>& params, const Segments& segments,
                                                   Index model_layers, Index width,
                                                   const Calibration<S>* calibration = nullptr,
                                                   KeepForBackward keep = KeepForBackward::no) const {
    static SerialExecutor serial;  // has no state
    return stream<S>(params, segments, model_layers, width, serial, calibration, keep);
  }
  /// A stream refers to its parameters and segments: temporary ones would be gone.
  template <Real S, class... Rest>
  void stream(Params<S>&&, Rest&&...) const = delete;
  template <Real S, class... Rest>
  void stream(const Params<S>&, Segments&&, Rest&&...) const = delete;

  /// Pools a batch whose layers 0..L all lie in memory, packed or padded: layers[k] is layer k, and one that is not
  /// read may be empty. Returns [B, output_width].
  template <Real S, Element T, Executor E>
  Matrix<S> run(const Params<S>& params, const Segments& segments, std::span<const LayerStates<T>> states, E& executor,
                const Calibration<S>* calibration = nullptr) const {
    const Index model_layers = static_cast<Index>(states.size()) - 1;
    layers.check(model_layers);
    Index first = 0;
    while (!layers.wants(first, model_layers)) ++first;
    auto sink = stream<S>(params, segments, model_layers, states[static_cast<std::size_t>(first)].buffer.cols, executor,
                          calibration);
    for (Index k = first; k <= model_layers; ++k)
      if (layers.wants(k, model_layers)) sink.push(k, states[static_cast<std::size_t>(k)]);
    return sink.finish(executor);
  }
  /// The same on the calling thread.
  template <Real S, Element T>
  Matrix<S> run(const Params<S>& params, const Segments& segments, std::span<const LayerStates<T>> states,
                const Calibration<S>* calibration = nullptr) const {
    SerialExecutor serial;
    return run<S, T>(params, segments, states, serial, calibration);
  }
};

}  // namespace embedpool
