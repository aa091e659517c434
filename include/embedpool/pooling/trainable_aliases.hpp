#pragma once
#include "embedpool/pooling/aliases.hpp"
#include "embedpool/pooling/heads/latent_attention.hpp"
#include "embedpool/pooling/heads/layer_table_attention.hpp"
#include "embedpool/pooling/heads/perceiver_head.hpp"

namespace embedpool {

/// The trainable poolings of arXiv 2409.02727 as its text gives them: every token of the last layer, or one vector a
/// layer, as keys of learned queries.
using LastLayerAttention = Pooling<LastLayer, AllTokens, CrossAttention>;
template <MaskPolicy Mask>
using MultiLayerAttention = Pooling<EveryLayer, SummaryToken<Mask>, LayerTableAttention>;

/// NV-Embed's: the tokens of the last layer ask learned latents, then their mean (arXiv 2405.17428).
using NvEmbedPooling = Pooling<LastLayer, AllTokens, LatentAttention>;

}  // namespace embedpool
