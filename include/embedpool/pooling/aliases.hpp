#pragma once
#include <concepts>
#include <type_traits>

#include "embedpool/attention/mask.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/heads/layer_mean.hpp"
#include "embedpool/pooling/heads/layer_mix.hpp"
#include "embedpool/pooling/heads/weighted_layers.hpp"
#include "embedpool/pooling/layers.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/pooling/tokens/all_tokens.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/first_token.hpp"
#include "embedpool/pooling/tokens/last_token.hpp"
#include "embedpool/pooling/tokens/position_weighted_mean.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/second_copy.hpp"
#include "embedpool/pooling/tokens/skip_first.hpp"
#include "embedpool/pooling/tokens/token_mean.hpp"

namespace embedpool {

/// The one vector that sums up a layer under a mask: the last token where only it has seen the whole text, else the
/// mean. A user's mask is taken as causal unless this is specialised.
template <MaskPolicy Mask>
struct SummaryTokenOf {
  using type = LastToken;
};
template <>
struct SummaryTokenOf<Bidirectional> {
  using type = TokenMean;
};
template <WindowEdge edge>
struct SummaryTokenOf<SlidingWindow<false, edge>> {
  using type = TokenMean;
};
template <MaskPolicy A, MaskPolicy B>
struct SummaryTokenOf<Intersection<A, B>> {  // as causal as the more causal of the two
  static constexpr bool both_look_ahead = std::same_as<typename SummaryTokenOf<A>::type, TokenMean> &&
                                          std::same_as<typename SummaryTokenOf<B>::type, TokenMean>;
  using type = std::conditional_t<both_look_ahead, TokenMean, LastToken>;
};
template <MaskPolicy Mask>
using SummaryToken = typename SummaryTokenOf<Mask>::type;

using EosLast = Pooling<LastLayer, LastToken, Identity>;          ///< RepLLaMA, E5-Mistral, Qwen3-Embedding
using MeanPooling = Pooling<LastLayer, TokenMean, Identity>;      ///< SBERT, EmbeddingGemma
using ClsPooling = Pooling<LastLayer, FirstToken, Identity>;      ///< BGE, BERT encoders
using WeightedMeanPooling = Pooling<LastLayer, PositionWeightedMean, Identity>;  ///< SGPT
using InstructedMeanPooling = Pooling<LastLayer, PromptExcluded<TokenMean>, Identity>;  ///< INSTRUCTOR, GritLM, LLM2Vec
using EchoPooling = Pooling<LastLayer, SecondCopy<TokenMean>, Identity>;         ///< arXiv 2402.15449

/// The mean or a learned softmax mix of one vector a layer.
using EveryLayerMean = Pooling<EveryLayer, TokenMean, LayerMean>;
template <MaskPolicy Mask>
using MultiLayerMix = Pooling<EveryLayer, SummaryToken<Mask>, LayerMix>;

/// The last token of a one-word prompt and the mean of the text's own tokens, of every layer, in one pass.
using PromptAndTextMix = Pooling<EveryLayer, Both<LastToken, PromptExcluded<TokenMean>>, LayerMix>;

}  // namespace embedpool
