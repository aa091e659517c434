#pragma once
#include "embedpool/model/decoder.hpp"
#include "embedpool/model/embedder.hpp"
#include "embedpool/pooling/trainable_aliases.hpp"

namespace embedpool {

/// The five designs of arXiv 2409.02727 (section 3): pooling and mask, on any decoder.
template <Real S = float>
using Design1 = Embedder<Decoder<S>, Causal, EosLast>;
template <Real S = float>
using Design2 = Embedder<Decoder<S>, Causal, LastLayerAttention>;
template <Real S = float>
using Design3 = Embedder<Decoder<S>, Causal, MultiLayerAttention<Causal>>;
template <Real S = float>
using Design4 = Embedder<Decoder<S>, Bidirectional, LastLayerAttention>;
template <Real S = float>
using Design5 = Embedder<Decoder<S>, Bidirectional, MultiLayerAttention<Bidirectional>>;

}  // namespace embedpool
