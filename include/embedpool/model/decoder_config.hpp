#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "embedpool/core/error.hpp"
#include "embedpool/kernels/rotary.hpp"
#include "embedpool/nn/gate_activation.hpp"

namespace embedpool {

/// The shape of a decoder of the Llama family, whatever file it came from: everything the forward pass depends on but
/// the weights. A config is plain values; `problem()` says what is wrong with it.
struct DecoderConfig {
  std::string architecture = "llama";  ///< as the file names it, for people to read
  Index width = 0;                     ///< D, the residual stream
  Index layers = 0;                    ///< L
  Index heads = 0;                     ///< query heads NH
  Index kv_heads = 0;                  ///< key and value heads; each serves heads / kv_heads query heads
  Index head_dim = 0;                  ///< d; not always width / heads
  Index feed_forward_width = 0;
  Index vocabulary = 0;
  Index context_length = 0;  ///< positions the model was made for, 0 unknown; the forward pass does not enforce it
  double norm_epsilon = 1e-5;

  std::vector<double> inverse_frequencies;  ///< [head_dim / 2] rotary frequencies, after scaling
  double rotary_amplitude = 1;              ///< factor on cos and sin (YaRN)
  RotaryStyle rotary_style = RotaryStyle::halves;

  GateActivation activation = GateActivation::silu;
  bool query_key_value_bias = false;  ///< Qwen2
  bool output_bias = false;           ///< with attention_bias of a Llama
  bool query_key_norm = false;        ///< RMSNorm over each head of q and k before the rotation (Qwen3)
  bool tied_embeddings = false;       ///< the output matrix, which embeddings never need, is the embedding table
  double embedding_scale = 1;         ///< factor on the embedding table's rows (Gemma: sqrt(width))

  /// W of the causal window 0 <= i - j < W that the model was trained with; 0 without one. Decoder::forward applies the
  /// mask it is given and nothing else; this is for those who choose the mask (Embedder, the program).
  Index sliding_window = 0;

  /// Whether the model was trained without the causal mask; like the window, for those who choose the mask.
  bool bidirectional = false;

  Index experts = 0;            ///< 0: a dense feed-forward; else each token goes through some of them (Mixtral)
  Index experts_per_token = 0;

  Index query_width() const noexcept { return heads * head_dim; }
  Index kv_width() const noexcept { return kv_heads * head_dim; }
  /// Factor on the scores q.k. The rotary amplitude is on q and on k, hence its square.
  double attention_scale() const noexcept {
    return rotary_amplitude * rotary_amplitude / std::sqrt(static_cast<double>(head_dim));
  }

  /// The first inconsistency in words, "kv_heads must divide heads: 9 and 4"; empty when there is none.
  std::string problem() const {
    struct Size {
      const char* name;
      Index value, most;
    };
    // Far above any model, far below what would overflow a product of three of them.
    for (const Size& size : {Size{"width", width, 1 << 20}, {"layers", layers, 1 << 14}, {"heads", heads, 1 << 14},
                             {"kv_heads", kv_heads, 1 << 14}, {"head_dim", head_dim, 1 << 14},
                             {"feed_forward_width", feed_forward_width, 1 << 22}, {"vocabulary", vocabulary, 1 << 28}})
      if (size.value < 1 || size.value > size.most)
        return std::string(size.name) + " must be in [1, " + std::to_string(size.most) + "], got " + std::to_string(size.value);
    if (heads % kv_heads != 0)
      return "kv_heads must divide heads: " + std::to_string(kv_heads) + " and " + std::to_string(heads);
    if (head_dim % 2 != 0) return "head_dim must be even, got " + std::to_string(head_dim);
    if (static_cast<Index>(inverse_frequencies.size()) * 2 != head_dim)
      return "rotary frequencies must be head_dim / 2: " + std::to_string(inverse_frequencies.size()) + " for head_dim " +
             std::to_string(head_dim);
    for (double frequency : inverse_frequencies)
      if (!std::isfinite(frequency) || frequency < 0) return "a rotary frequency is " + std::to_string(frequency);
    if (!std::isfinite(norm_epsilon) || norm_epsilon < 0 || norm_epsilon > 1)
      return "norm_epsilon must be in [0, 1], got " + std::to_string(norm_epsilon);
    if (!std::isfinite(embedding_scale) || !std::isfinite(rotary_amplitude)) return "a scale is not finite";
    if (sliding_window < 0) return "sliding_window must not be negative, got " + std::to_string(sliding_window);
    if (experts < 0 || experts > 4096 || experts_per_token < 0 || experts_per_token > experts ||
        (experts > 0 && experts_per_token == 0))
      return "experts_per_token must be in [1, experts]: " + std::to_string(experts_per_token) + " of " + std::to_string(experts);
    return {};
  }
};

}  // namespace embedpool
