#pragma once
#include <string>

#include "embedpool/model/decoder_tensor.hpp"

namespace embedpool::io {

/// The name of a tensor in Hugging Face checkpoints, without the `model.` that some of them put in front.
inline std::string hugging_face_name(const DecoderTensorPlace& place) {
  const std::string block = "layers." + std::to_string(place.layer) + ".";
  const std::string expert = block + "block_sparse_moe.experts." + std::to_string(place.expert) + ".";
  const bool dense = place.expert < 0;
  using T = DecoderTensor;
  switch (place.kind) {
    case T::embedding: return "embed_tokens.weight";
    case T::final_norm: return "norm.weight";
    case T::attention_norm: return block + "input_layernorm.weight";
    case T::query: return block + "self_attn.q_proj.weight";
    case T::key: return block + "self_attn.k_proj.weight";
    case T::value: return block + "self_attn.v_proj.weight";
    case T::output: return block + "self_attn.o_proj.weight";
    case T::query_bias: return block + "self_attn.q_proj.bias";
    case T::key_bias: return block + "self_attn.k_proj.bias";
    case T::value_bias: return block + "self_attn.v_proj.bias";
    case T::output_bias: return block + "self_attn.o_proj.bias";
    case T::query_norm: return block + "self_attn.q_norm.weight";
    case T::key_norm: return block + "self_attn.k_norm.weight";
    case T::feed_forward_norm: return block + "post_attention_layernorm.weight";
    case T::router: return block + "block_sparse_moe.gate.weight";
    case T::gate: return dense ? block + "mlp.gate_proj.weight" : expert + "w1.weight";
    case T::up: return dense ? block + "mlp.up_proj.weight" : expert + "w3.weight";
    case T::down: return dense ? block + "mlp.down_proj.weight" : expert + "w2.weight";
  }
  return {};
}

/// The name of a tensor in GGUF files. Experts, which lie there in one tensor a block, have none.
inline std::string gguf_name(const DecoderTensorPlace& place) {
  const std::string block = "blk." + std::to_string(place.layer) + ".";
  using T = DecoderTensor;
  switch (place.kind) {
    case T::embedding: return "token_embd.weight";
    case T::final_norm: return "output_norm.weight";
    case T::attention_norm: return block + "attn_norm.weight";
    case T::query: return block + "attn_q.weight";
    case T::key: return block + "attn_k.weight";
    case T::value: return block + "attn_v.weight";
    case T::output: return block + "attn_output.weight";
    case T::query_bias: return block + "attn_q.bias";
    case T::key_bias: return block + "attn_k.bias";
    case T::value_bias: return block + "attn_v.bias";
    case T::output_bias: return block + "attn_output.bias";
    case T::query_norm: return block + "attn_q_norm.weight";
    case T::key_norm: return block + "attn_k_norm.weight";
    case T::feed_forward_norm: return block + "ffn_norm.weight";
    case T::router: return block + "ffn_gate_inp.weight";
    case T::gate: return block + "ffn_gate.weight";
    case T::up: return block + "ffn_up.weight";
    case T::down: return block + "ffn_down.weight";
  }
  return {};
}

}  // namespace embedpool::io
