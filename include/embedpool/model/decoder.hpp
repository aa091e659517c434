#pragma once
#include <string>
#include <type_traits>
#include <utility>

#include "embedpool/kernels/dequantize.hpp"
#include "embedpool/model/backbone.hpp"
#include "embedpool/model/decoder_weights.hpp"
#include "embedpool/model/decoder_workspace.hpp"
#include "embedpool/model/shared_prefix.hpp"

namespace embedpool {

/// A decoder of the Llama family as a backbone: Llama, Mistral, Qwen2, Qwen3, SmolLM, Gemma, Mixtral, by DecoderConfig.
///
///   x_0 = scale * Embedding[ids]
///   x_l = y + FeedForward(RMSNorm(y)),  y = x_{l-1} + Attention(RMSNorm(x_{l-1}))      l = 1..L
///   layer 0 = x_0,  layer l = x_l for l < L,  layer L = RMSNorm(x_L)  (or x_L itself: LastState::raw)
///
/// Weights are used in their storage format from where they are. A Decoder is immutable and cheap to copy.
///
/// Compute  in which arithmetic the linear maps are computed; Decoder<float, Int8Compute> and others are made of a
///          Decoder<float> by with_compute()
template <Real S, ComputePolicy<S> Compute = FullPrecision>
class Decoder {
 public:
  using Scalar = S;
  using Workspace = DecoderWorkspace<S>;

  /// Errors: ShapeError when the config is inconsistent or a tensor is missing or has another shape.
  Decoder(DecoderConfig config, DecoderWeights<S> weights, Compute compute = {})
      : config_(std::move(config)), weights_(std::move(weights)), compute_(std::move(compute)) {
    if (const std::string problem = config_.problem(); !problem.empty()) throw ShapeError("Decoder: " + problem);
    require_equal("Decoder", "blocks", static_cast<Index>(weights_.blocks.size()), config_.layers);
    for (const auto& block : weights_.blocks)
      require_equal("Decoder", "feed-forwards of a block", static_cast<Index>(block.feed_forward.experts.size()),
                    std::max<Index>(config_.experts, 1));
    for_each_tensor(std::as_const(weights_), config_, [&](const DecoderTensorPlace& place, const auto& tensor) {
      const DecoderTensorShape shape = tensor_shape(place.kind, config_);
      if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) {
        require_equal("Decoder", describe(place) + " rows", tensor.data == nullptr ? 0 : tensor.rows, shape.rows);
        require_equal("Decoder", describe(place) + " columns", tensor.cols, shape.cols);
        require_equal("Decoder", describe(place) + " columns beyond whole blocks",
                      tensor.cols % info(tensor.format).block_values, 0);
      } else {
        require_equal("Decoder", describe(place) + " values", static_cast<Index>(tensor.size()), shape.cols);
      }
    });
  }

  const DecoderConfig& config() const noexcept { return config_; }
  const DecoderWeights<S>& weights() const noexcept { return weights_; }
  /// The same model with its products in another arithmetic; the weights are shared.
  template <ComputePolicy<S> Other>
  Decoder<S, Other> with_compute(Other other) const {
    return Decoder<S, Other>(config_, weights_, std::move(other));
  }
  Index layers() const noexcept { return config_.layers; }
  Index width() const noexcept { return config_.width; }
  Index trained_window() const noexcept { return config_.sliding_window; }

  /// Pushes the layers that `sink` wants, each as soon as it exists, and stops after sink.last_layer(). There only the
  /// tokens in sink.reads(shape) go through queries, output projection and feed-forward, and a beginning that the texts
  /// share under the mask (shared_prefix) is computed once for all; states have the same bits as without that.
  ///
  /// Errors  ShapeError for an id outside the vocabulary (naming text, position and id), and for a last layer outside
  ///         [0, L]; nothing has been pushed then
  template <MaskPolicy M, LayerSink<S> Sink, Executor E>
  void forward(const Batch& batch, const M& mask, Sink&& sink, Workspace& workspace, E& executor,
               LastState last_state = LastState::normalized) const {
    const Segments& segments = batch.segments();
    check_ids(batch);
    const Index last_layer = sink.last_layer();
    require_in("Decoder", "last layer", last_layer, 0, config_.layers);
    const RowSelection all = RowSelection::all(segments);
    if (segments.size() == 0) return push_nothing(segments, all, sink, last_layer);

    const RowSelection read(segments, [&](const TextShape& shape) { return sink.reads(shape); });
    const ComputedTokens computed(segments, shared_prefix(batch, mask));
    const RowSelection& held = computed.selection();
    const RowSelection last_held = computed.giving(read, segments);
    const RotaryTable<S>& rotary = workspace.rotary(config_.inverse_frequencies, segments.longest());
    Rows<S> x = workspace.residual.rows(held.rows(), config_.width);
    embed(batch, held, x, executor);
    const auto push = [&](Index layer, Rows<S> rows, const RowSelection& of, const RowSelection& wanted) {
      const Rows<S> pushed = computed.rows_of(wanted, of, rows, workspace.repeated, executor);
      sink.push(layer, LayerStates<S>{pushed, &segments, &wanted});
    };
    if (sink.wants(0)) push(0, x, held, all);
    for (Index layer = 1; layer <= last_layer; ++layer) {
      const bool is_last = layer == last_layer;
      x = block_forward(layer, mask, segments, held, is_last ? last_held : held, rotary, x, workspace, executor);
      if (!sink.wants(layer)) continue;
      const bool normalize = layer == config_.layers && last_state == LastState::normalized;
      push(layer, normalize ? normalized(x, workspace, executor) : x, is_last ? last_held : held, is_last ? read : all);
    }
  }

 private:
  void check_ids(const Batch& batch) const {
    const Segments& segments = batch.segments();
    for (Index b = 0; b < segments.size(); ++b)
      for (Index t = 0; t < segments.shape(b).tokens; ++t) {
        const TokenId id = batch.ids()[static_cast<std::size_t>(segments.offset(b) + t)];
        if (0 <= id && id < config_.vocabulary) [[likely]]
          continue;
        require_in("Decoder", "text " + std::to_string(b) + ", position " + std::to_string(t) + ": token id", id, 0,
                   config_.vocabulary - 1);
      }
  }

  /// A batch without texts: every wanted layer, without rows.
  template <class Sink>
  void push_nothing(const Segments& segments, const RowSelection& none, Sink& sink, Index last_layer) const {
    for (Index layer = 0; layer <= last_layer; ++layer)
      if (sink.wants(layer)) sink.push(layer, LayerStates<S>{Rows<S>(nullptr, 0, config_.width), &segments, &none});
  }

  /// x = scale * Embedding[ids] for the tokens in `held`.
  template <Executor E>
  void embed(const Batch& batch, const RowSelection& held, Rows<S> x, E& executor) const {
    executor.parallel_for(held.texts(), [&](Index b, Index) {
      const TokenId* const ids = batch.ids().data() + batch.segments().offset(b) + held.held(b).begin;
      for (Index i = 0; i < held.held(b).size(); ++i) {
        const std::span<S> row = x.row(held.first_row(b) + i);
        decode_row(weights_.embedding, ids[i], row.data());
        if (config_.embedding_scale != 1)
          for (S& value : row) value *= static_cast<S>(config_.embedding_scale);
      }
    });
  }

  /// One block on the residual stream of the tokens in `held`, in place. Returns the rows that are valid afterwards:
  /// those of `queries`.
  template <MaskPolicy M, Executor E>
  Rows<S> block_forward(Index layer, const M& mask, const Segments& segments, const RowSelection& held,
                        const RowSelection& queries, const RotaryTable<S>& rotary, Rows<S> x, Workspace& workspace,
                        E& executor) const {
    const auto epsilon = static_cast<S>(config_.norm_epsilon);
    const DecoderBlockWeights<S>& block = weights_.blocks[static_cast<std::size_t>(layer - 1)];
    const SelfAttentionShape<S> attention{{config_.heads, config_.kv_heads, config_.head_dim, config_.attention_scale()},
                                          epsilon, config_.rotary_style};
    const FeedForwardShape<S> feed_forward{config_.activation, epsilon, config_.experts_per_token};
    x = self_attention_forward(block.attention, attention, compute_, mask, segments, held, queries, rotary, x, workspace.attention,
                               executor);
    if (config_.experts > 0)
      mixture_forward(block.feed_forward, feed_forward, compute_, x, workspace.mixture, executor);
    else
      feed_forward_forward(block.feed_forward, feed_forward, compute_, x, workspace.feed_forward, executor);
    return x;
  }

  /// RMSNorm(x) with the final gain, in a buffer of its own.
  template <Executor E>
  Rows<S> normalized(Rows<S> x, Workspace& workspace, E& executor) const {
    const Rows<S> out = workspace.normed.rows(x.rows, x.cols);
    rms_norm(Rows<const S>(x), weights_.final_norm.data(), static_cast<S>(config_.norm_epsilon), out, executor);
    return out;
  }

  DecoderConfig config_;
  DecoderWeights<S> weights_;
  [[no_unique_address]] Compute compute_;
};

static_assert(Backbone<Decoder<float>> && Backbone<Decoder<double>>);

}  // namespace embedpool
