#include <cmath>
#include <random>

#include "embedpool/io/load_decoder.hpp"
#include "model/damaged_models.hpp"
#include "model/golden_support.hpp"

using namespace embedpool;
using namespace embedpool::test;

namespace {

/// A GGUF file in memory whose bytes can be changed.
struct Gguf {
  std::string bytes;
  explicit Gguf(const std::string& name) : bytes(read_all(fixtures() / "gguf" / (name + ".gguf"))) {}

  /// The place behind the last byte of `text` where it first stands.
  std::size_t behind(const std::string& text) const {
    const auto place = bytes.find(text);
    REQUIRE(place != std::string::npos);
    return place + text.size();
  }
  Gguf& replace(const std::string& text, const std::string& by) {
    REQUIRE(text.size() == by.size());
    bytes.replace(behind(text) - text.size(), text.size(), by);
    return *this;
  }
  /// The number behind a key and its four bytes of type.
  template <class T>
  Gguf& set(const std::string& key, T value) {
    std::memcpy(bytes.data() + behind(key) + 4, &value, sizeof value);
    return *this;
  }
  /// One more entry: its key, the number of its type and the bytes of its value.
  Gguf& add(const std::string& key, std::uint32_t type, const std::string& value) {
    const auto number = [](auto n) { return std::string(reinterpret_cast<const char*>(&n), sizeof n); };
    std::string entries = number(std::uint64_t(key.size())) + key + number(type) + value;
    // A second one, a text that nobody reads, keeps the alignment of the tensors.
    entries += number(std::uint64_t(1)) + "x" + number(std::uint32_t(8));
    const std::size_t left = 32 - (entries.size() + 8) % 32;
    entries += number(std::uint64_t(left)) + std::string(left, '-');
    std::uint64_t count = 0;
    std::memcpy(&count, bytes.data() + 16, sizeof count);
    count += 2;
    std::memcpy(bytes.data() + 16, &count, sizeof count);
    bytes.insert(24, entries);
    return *this;
  }
  Decoder<float> load() const {
    return io::load_decoder(io::GgufFile(std::as_bytes(std::span(bytes)), "changed.gguf"));
  }
};

void refused_gguf(const Gguf& file, std::vector<std::string> culprits) {
  culprits.push_back("changed.gguf");
  refused([&] { file.load(); }, culprits);
}

}  // namespace

TEST_CASE("a GGUF file that is no decoder we know, or contradicts itself, is refused by file, key or tensor, and cause") {
  CHECK(Gguf("llama-f32").load().layers() > 0);  // the unchanged file is fine
  // The value "llama" stands behind the key, its type and its length.
  Gguf renamed("llama-f32");
  renamed.bytes.replace(renamed.behind("general.architecture") + 12, 5, "mamba");
  refused_gguf(renamed, {"general.architecture", "'mamba'"});

  const auto u32 = [](const std::string& file, const std::string& key, std::uint32_t value) {
    return Gguf(file).set(key, value);
  };
  for (const std::string key : {"llama.embedding_length", "llama.block_count", "llama.feed_forward_length",
                                "llama.attention.head_count", "llama.attention.head_count_kv"}) {
    refused_gguf(u32("llama-f32", key, 0), {key});
    refused_gguf(u32("llama-f32", key, 0xffffffffu), {key});
  }
  refused_gguf(u32("llama-f32", "llama.attention.head_count_kv", 3), {"kv_heads must divide heads: 3 and 4"});
  refused_gguf(u32("llama-f32", "llama.attention.head_count", 5), {"llama.attention.head_count", "divide"});
  refused_gguf(u32("llama-f32", "llama.block_count", 4), {"blk.3.", "missing"});
  refused_gguf(u32("qwen2-mixed", "qwen2.embedding_length", 64), {"token_embd.weight", "shape"});
  refused_gguf(u32("llama-f32", "llama.vocab_size", 7), {"llama.vocab_size", "128"});
  refused_gguf(u32("llama-f32", "llama.rope.dimension_count", 4), {"llama.rope.dimension_count"});
  refused_gguf(u32("qwen3-mixed", "qwen3.attention.value_length", 16), {"qwen3.attention.value_length", "24"});
  refused_gguf(u32("qwen3-mixed", "qwen3.attention.key_length", 23), {"length"});
  for (const float theta : {0.0f, -1.0f, std::nanf(""), HUGE_VALF})
    refused_gguf(Gguf("llama-f32").set("llama.rope.freq_base", theta), {"llama.rope.freq_base"});
  refused_gguf(Gguf("llama-f32").set("llama.attention.layer_norm_rms_epsilon", -1.0f), {"norm_epsilon"});
  refused_gguf(Gguf("llama-f32").replace("llama.embedding_length", "llama.embedding_lengtx"),
               {"llama.embedding_length", "missing"});
  refused_gguf(Gguf("llama-f32").replace("output_norm.weight", "output_nurm.weight"), {"output_norm.weight", "missing"});
  refused_gguf(Gguf("llama-f32").replace("token_embd.weight", "token_umbd.weight"), {"token_embd.weight", "missing"});
  refused_gguf(Gguf("qwen2-mixed").replace("blk.1.attn_v.bias", "blk.1.attn_w.bias"), {"blk.1.attn_v.bias", "missing"});
  refused_gguf(Gguf("qwen3-mixed").replace("blk.0.attn_k_norm", "blk.0.attn_x_norm"), {"blk.0.attn_k_norm", "missing"});
  refused_gguf(Gguf("qwen2-mixed").replace("blk.0.attn_q.bias", "blk.0.ffn_up.bias"), {"blk.0.ffn_up.bias", "not supported"});

  // A tensor entry: name, dimensions (u32), extents (u64 each), type (u32), offset.
  Gguf unknown_type("llama-f32");
  const std::uint32_t number = 77;
  std::memcpy(unknown_type.bytes.data() + unknown_type.behind("blk.0.ffn_up.weight") + 4 + 16, &number, 4);
  refused_gguf(unknown_type, {"blk.0.ffn_up.weight", "77"});
  Gguf turned("llama-f32");
  char* extents = turned.bytes.data() + turned.behind("blk.0.ffn_up.weight") + 4;
  std::swap_ranges(extents, extents + 8, extents + 8);
  refused_gguf(turned, {"blk.0.ffn_up.weight", "shape must be"});

  refused_gguf(Gguf("llama-f32").add("split.count", 2, {3, 0}), {"split.count", "one of 3 parts"});
  CHECK(Gguf("llama-f32").add("split.count", 2, {1, 0}).load().layers() > 0);

  Gguf factors("llama3-f32");
  const auto file = io::GgufFile(std::as_bytes(std::span(factors.bytes)), "whole");
  const auto place = static_cast<std::size_t>(file.at("rope_freqs.weight").data.data() -
                                              reinterpret_cast<const std::byte*>(factors.bytes.data()));
  std::memset(factors.bytes.data() + place, 0, 4);
  refused_gguf(factors, {"rope_freqs.weight", "positive"});
}

TEST_CASE("a GGUF file says that its model was trained bidirectionally") {
  const auto bidirectional = [](char causal) {
    return Gguf("llama-f32").add("llama.attention.causal", 7, std::string(1, causal)).load().config().bidirectional;
  };
  CHECK_FALSE(Gguf("llama-f32").load().config().bidirectional);
  CHECK_FALSE(bidirectional(1));
  CHECK(bidirectional(0));
}

TEST_CASE("no change of one byte in a model file does more than one FileError") {
  // A change may also go unnoticed (a weight, an unused key); then the model must run.
  std::mt19937 generator(7);
  for (const std::string name : {"llama-mixed", "qwen3-mixed", "llama3-f32", "llama-kquants"}) {
    CAPTURE(name);
    const Gguf whole(name);
    Index accepted = 0, refused = 0;
    for (int trial = 0; trial < 1500; ++trial) {
      Gguf changed = whole;
      const std::size_t place = std::uniform_int_distribution<std::size_t>(0, 2500)(generator);
      changed.bytes[place] = static_cast<char>(generator());
      CAPTURE(place);
      try {
        const Decoder<float> decoder = changed.load();
        CHECK(layers_of(decoder, {0, 1, 2}).size() == static_cast<std::size_t>(decoder.layers() + 1));
        ++accepted;
      } catch (const FileError&) {
        ++refused;
      }
    }
    CHECK(accepted > 0);
    CHECK(refused > 0);
    for (std::size_t length = 0; length < whole.bytes.size(); length += 97) {  // and no truncation
      Gguf cut = whole;
      cut.bytes.resize(length);
      CHECK_THROWS_AS(cut.load(), FileError);
    }
  }
}
