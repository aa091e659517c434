#include <doctest/doctest.h>

#include <set>

#include "embedpool/io/decoder_tensor_names.hpp"

using namespace embedpool;

TEST_CASE("tensors have the names of Hugging Face checkpoints and of GGUF files") {
  CHECK(io::hugging_face_name({DecoderTensor::embedding}) == "embed_tokens.weight");
  CHECK(io::hugging_face_name({DecoderTensor::query, 3}) == "layers.3.self_attn.q_proj.weight");
  CHECK(io::hugging_face_name({DecoderTensor::down, 2}) == "layers.2.mlp.down_proj.weight");
  CHECK(io::hugging_face_name({DecoderTensor::down, 2, 7}) == "layers.2.block_sparse_moe.experts.7.w2.weight");
  CHECK(io::gguf_name({DecoderTensor::feed_forward_norm, 11}) == "blk.11.ffn_norm.weight");
  CHECK(io::gguf_name({DecoderTensor::final_norm}) == "output_norm.weight");
}

TEST_CASE("no two tensors of a model share a name") {
  std::set<std::string> hugging_face, gguf;
  int count = 0;
  for (int kind = 0; kind <= static_cast<int>(DecoderTensor::down); ++kind)
    for (Index layer = 0; layer < 2; ++layer) {
      const auto tensor = static_cast<DecoderTensor>(kind);
      const bool of_block = tensor != DecoderTensor::embedding && tensor != DecoderTensor::final_norm;
      if (!of_block && layer > 0) continue;
      hugging_face.insert(io::hugging_face_name({tensor, of_block ? layer : -1}));
      gguf.insert(io::gguf_name({tensor, of_block ? layer : -1}));
      ++count;
    }
  CHECK(static_cast<int>(hugging_face.size()) == count);
  CHECK(static_cast<int>(gguf.size()) == count);
  CHECK_FALSE(hugging_face.contains(""));
  CHECK_FALSE(gguf.contains(""));
}
