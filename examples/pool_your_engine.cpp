/// You have an engine that computes hidden states; embedpool turns them into embeddings. Nothing is copied: you push
/// each layer where it lies, padded or packed, in float, double, bfloat16 or half.
///
/// The engine here is a stand-in that fills its buffers with numbers.
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

#include "embedpool/pooling.hpp"

using namespace embedpool;

constexpr Index model_layers = 4;  // hidden_states 0 (the embedding output) to 4 (after the final norm)
constexpr Index hidden_size = 64;

/// What the stand-in computes: value j of token t of text b in a layer.
float state(Index layer, Index b, Index t, Index j) {
  return std::sin(static_cast<float>(1 + b) * 0.7f + static_cast<float>(t * (j + 1)) * 0.13f) * static_cast<float>(layer);
}

/// An engine that pads: one buffer [B, T, D] a layer and an attention mask [B, T], here padded on the left.
struct PaddingEngine {
  std::vector<int> lengths = {3, 5, 1};
  Index texts = 3, columns = 6;
  std::vector<int> attention_mask;
  std::vector<float> buffer;

  PaddingEngine()
      : attention_mask(static_cast<std::size_t>(texts * columns), 0),
        buffer(static_cast<std::size_t>(texts * columns * hidden_size), std::numeric_limits<float>::quiet_NaN()) {
    for (Index b = 0; b < texts; ++b)
      for (Index t = columns - lengths[static_cast<std::size_t>(b)]; t < columns; ++t)
        attention_mask[static_cast<std::size_t>(b * columns + t)] = 1;
  }
  const float* compute(Index layer) {  // reuses its buffer, as engines do
    for (Index b = 0; b < texts; ++b) {
      const Index first = columns - lengths[static_cast<std::size_t>(b)];
      for (Index t = first; t < columns; ++t)
        for (Index j = 0; j < hidden_size; ++j)
          buffer[static_cast<std::size_t>((b * columns + t) * hidden_size + j)] = state(layer, b, t - first, j);
    }
    return buffer.data();
  }
};

/// An engine that packs: the tokens of all texts one after the other in bfloat16, and where each text begins.
struct PackingEngine {
  std::vector<Index> offsets = {0, 3, 8, 9};  // many call them cu_seqlens
  std::vector<bf16> buffer = std::vector<bf16>(9 * hidden_size);

  Rows<const bf16> compute(Index layer) {
    for (std::size_t b = 0; b + 1 < offsets.size(); ++b)
      for (Index row = offsets[b]; row < offsets[b + 1]; ++row)
        for (Index j = 0; j < hidden_size; ++j)
          buffer[static_cast<std::size_t>(row * hidden_size + j)] =
              to_bf16(state(layer, static_cast<Index>(b), row - offsets[b], j));
    return {buffer.data(), 9, hidden_size};
  }
};

/// Three choices: every layer, the mean of its tokens without the first, and the mean of the layers.
using Pool = Pooling<EveryLayer, SkipFirst<TokenMean>, LayerMean>;

Matrix<float> embed_padded(const Pool& pooling, PaddingEngine& engine) {
  const PaddedBatch batch(Rows<const int>(engine.attention_mask.data(), engine.texts, engine.columns),
                          PaddedLayout::contiguous(engine.columns, hidden_size));
  const Pool::Params<float> params{};
  auto stream = pooling.stream<float>(params, batch.segments(), model_layers, hidden_size);
  for (Index layer = 0; layer <= stream.last_layer(); ++layer) {
    const float* states = engine.compute(layer);
    if (stream.wants(layer)) stream.push(layer, batch.layer(states));
  }
  return Finishing{}.forward(stream.finish());  // unit length
}

Matrix<float> embed_packed(const Pool& pooling, PackingEngine& engine) {
  const Segments segments = Segments::from_offsets(engine.offsets);
  const RowSelection every_token = RowSelection::all(segments);
  const Pool::Params<float> params{};
  auto stream = pooling.stream<float>(params, segments, model_layers, hidden_size);
  for (Index layer = 0; layer <= stream.last_layer(); ++layer) {
    const Rows<const bf16> states = engine.compute(layer);
    if (stream.wants(layer)) stream.push(layer, LayerStates<bf16>{states, &segments, &every_token, {}});
  }
  return Finishing{}.forward(stream.finish());
}

int main() {
  const Pool pooling;
  PaddingEngine padding;
  PackingEngine packing;
  const Matrix<float> padded = embed_padded(pooling, padding);
  const Matrix<float> packed = embed_packed(pooling, packing);

  std::puts("cosine of each text with the others, from the padded float engine and the packed bfloat16 engine:");
  for (Index a = 0; a < padded.rows(); ++a) {
    for (Index b = 0; b < padded.rows(); ++b)
      std::printf("  %7.4f / %7.4f", static_cast<double>(padded.row(a).dot(padded.row(b))),
                  static_cast<double>(packed.row(a).dot(packed.row(b))));
    std::puts("");
  }

  // Both engines computed the same states, one rounded to 8 bits: unit vectors agree to 2^-8.
  const float difference = (padded - packed).cwiseAbs().maxCoeff();
  const float length = padded.row(0).norm();
  if (!(difference < 0x1p-8f) || !(std::abs(length - 1) < 1e-6f)) {
    std::printf("the two disagree: largest difference %g, length %g\n", static_cast<double>(difference),
                static_cast<double>(length));
    return 1;
  }
  std::printf("largest difference %.1e\n", static_cast<double>(difference));
  return 0;
}
