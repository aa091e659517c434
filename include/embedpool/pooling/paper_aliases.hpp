#pragma once
#include "embedpool/pooling/trainable_aliases.hpp"

namespace embedpool {

/// PerceiverHead with the sizes, start and residual of the paper's released code: 768 latents, 32 heads of 2048.
struct PaperHead : PerceiverHead {
  PaperHead() : PerceiverHead(published(false)) {}
};
/// The same with its learned layer table.
struct PaperLayerTableHead : PerceiverHead {
  PaperLayerTableHead() : PerceiverHead(published(true)) {}
};

/// The trainable poolings as the released code of arXiv 2409.02727 computes them, which is not what its text says
/// (LastLayerAttention, MultiLayerAttention). Sizes are members of `head` and can be set before init.
using PaperLastLayer = Pooling<LastLayer, AllTokens, PaperHead>;
template <MaskPolicy Mask>
using PaperMultiLayer = Pooling<EveryLayer, SummaryToken<Mask>, PaperLayerTableHead>;

/// The released code's design 2: under a causal mask its head saw the last token alone, one key, so that every
/// attention weight was 1.
using PaperLastLayerOneKey = Pooling<LastLayer, LastToken, PaperHead>;

}  // namespace embedpool
