#include "embedpool/io/load_decoder.hpp"

#include <unistd.h>

#include <fstream>
#include <functional>
#include <random>

#include "embedpool/core/executor.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "model/golden_support.hpp"

using namespace embedpool;
using io::Json;

namespace {

/// The files that these tests damage: always those of the source tree, whose sizes the messages below name.
std::filesystem::path fixtures() { return EMBEDPOOL_TEST_GOLDEN_DIR; }

std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_all(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A directory that is gone at the end of the test.
struct TemporaryDirectory {
  std::filesystem::path path;
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "embedpool-loader-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

/// Loads and gives the message of the FileError; the one line must name every culprit.
template <class Load>
void refused(Load&& load, const std::vector<std::string>& culprits) {
  try {
    load();
    FAIL_CHECK("accepted");
  } catch (const FileError& error) {
    const std::string message = error.what();
    CAPTURE(message);
    CHECK(message.find('\n') == std::string::npos);
    for (const std::string& culprit : culprits) {
      CAPTURE(culprit);
      CHECK(message.find(culprit) != std::string::npos);
    }
  }
}

/// A copy of a golden model with its config changed and its safetensors header changed; tensor bytes stay.
template <class ChangeConfig, class ChangeHeader>
void with_changed_model(const std::string& model, ChangeConfig&& change_config, ChangeHeader&& change_header,
                        const std::function<void(const std::filesystem::path&)>& f) {
  const auto source = fixtures() / "models" / model;
  TemporaryDirectory copy;
  Json config = Json::parse(read_all(source / "config.json"));
  change_config(config);
  write_all(copy.path / "config.json", config.dump());

  const std::string bytes = read_all(source / "model.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  Json header = Json::parse(bytes.substr(8, length));
  change_header(header);
  const std::string text = header.dump();
  const std::uint64_t changed_length = text.size();
  write_all(copy.path / "model.safetensors",
            std::string(reinterpret_cast<const char*>(&changed_length), 8) + text + bytes.substr(8 + length));
  f(copy.path);
}

constexpr auto nothing = [](Json&) {};

template <class ChangeConfig>
void refused_config(const std::string& model, ChangeConfig&& change, std::vector<std::string> culprits) {
  culprits.push_back("config.json");
  with_changed_model(model, change, nothing,
                     [&](const auto& path) { refused([&] { io::load_decoder(path); }, culprits); });
}

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
  Decoder<float> load() const {
    return io::load_decoder(io::GgufFile(std::as_bytes(std::span(bytes)), "changed.gguf"));
  }
};

void refused_gguf(const Gguf& file, std::vector<std::string> culprits) {
  culprits.push_back("changed.gguf");
  refused([&] { file.load(); }, culprits);
}

}  // namespace

TEST_CASE("a Hugging Face configuration that is impossible is refused by file, key and cause") {
  const auto set = [](const char* key, Json value) { return [=](Json& config) { config[key] = value; }; };
  refused_config("llama", set("model_type", "phi3"), {"model_type", "'phi3'", "llama"});
  refused_config("llama", set("model_type", "bert"), {"model_type", "'bert'"});
  refused_config("llama", [](Json& c) { c.erase("model_type"); }, {"model_type", "missing"});
  for (const char* key : {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                          "intermediate_size", "vocab_size", "head_dim"}) {
    refused_config("llama", set(key, 0), {key, "got 0"});
    refused_config("llama", set(key, -3), {key, "got -3"});
    refused_config("llama", set(key, 1e18), {key});
    refused_config("llama", set(key, 2.5), {key, "integer"});
    refused_config("llama", set(key, "32"), {key, "integer"});
  }
  refused_config("llama", [](Json& c) { c.erase("hidden_size"); }, {"hidden_size", "missing"});
  refused_config("llama", set("num_key_value_heads", 3), {"kv_heads must divide heads: 3 and 4"});
  refused_config("llama", set("num_attention_heads", 5), {"num_attention_heads", "divide hidden_size"});
  refused_config("llama", set("head_dim", 7), {"head_dim must be even, got 7"});
  refused_config("llama", set("head_dim", 100000), {"head_dim"});
  refused_config("llama", set("rms_norm_eps", -1.0), {"norm_epsilon"});
  refused_config("llama", set("hidden_act", "relu"), {"hidden_act", "'relu'"});
  refused_config("llama", set("mlp_bias", true), {"mlp_bias"});
  refused_config("llama", set("rope_theta", 0.0), {"rope_theta"});
  refused_config("llama", set("rope_theta", 1.0), {"rope_theta"});
  refused_config("llama", set("partial_rotary_factor", 0.5), {"partial_rotary_factor"});
  refused_config("llama", set("rope_scaling", "linear"), {"rope_scaling", "object"});
  refused_config("llama", set("rope_scaling", {{"type", "dynamic"}, {"factor", 2}}), {"rope_scaling.type", "'dynamic'"});
  refused_config("llama", set("rope_scaling", {{"type", "linear"}}), {"rope_scaling.factor", "missing"});
  refused_config("llama", set("rope_scaling", {{"type", "linear"}, {"factor", 0}}), {"rope_scaling.factor", "positive"});
  refused_config("llama3", [](Json& c) { c["rope_scaling"].erase("low_freq_factor"); }, {"low_freq_factor", "missing"});
  refused_config("llama3", [](Json& c) { c["rope_scaling"]["low_freq_factor"] = 9; }, {"low_freq_factor", "below"});
  refused_config("mixtral", set("num_experts_per_tok", 5), {"num_experts_per_tok"});
  refused_config("mixtral", set("num_local_experts", 0), {"num_local_experts"});
  refused_config("mistral", set("sliding_window", -1), {"sliding_window"});
  refused_config("qwen2", [](Json& c) { c["use_sliding_window"] = true, c["max_window_layers"] = 1; }, {"sliding_window"});
  with_changed_model("llama", nothing, nothing, [](const std::filesystem::path& path) {
    for (const std::string text : {"", "{", "[]", "null", "{\"model_type\": 3}", "\xff\xfe"}) {
      write_all(path / "config.json", text);
      refused([&] { io::load_decoder(path); }, {"config.json"});
    }
    std::filesystem::remove(path / "config.json");
    refused([&] { io::load_decoder(path); }, {"config.json"});
  });
}

TEST_CASE("a checkpoint whose tensors do not fit its configuration is refused by file, tensor and cause") {
  const auto refused_header = [](const std::string& model, auto&& change, std::vector<std::string> culprits) {
    culprits.push_back("model.safetensors");
    with_changed_model(model, nothing, change,
                       [&](const auto& path) { refused([&] { io::load_decoder(path); }, culprits); });
  };
  const auto rename = [](const std::string& from, const std::string& to) {
    return [=](Json& header) {
      REQUIRE(header.contains(from));
      header[to] = header[from];
      header.erase(from);
    };
  };
  refused_header("llama", rename("model.norm.weight", "model.nurm.weight"), {"model.norm.weight", "missing"});
  refused_header("llama", rename("model.layers.1.mlp.up_proj.weight", "x"), {"model.layers.1.mlp.up_proj.weight", "missing"});
  refused_header("llama", rename("model.embed_tokens.weight", "x"), {"embed_tokens.weight", "missing"});
  refused_header("qwen2", rename("model.layers.0.self_attn.k_proj.bias", "x"), {"k_proj.bias", "missing"});
  refused_header("qwen3", rename("layers.1.self_attn.q_norm.weight", "x"), {"q_norm.weight", "missing"});
  refused_header("mixtral", rename("model.layers.1.block_sparse_moe.experts.3.w2.weight", "x"), {"experts.3.w2.weight"});
  const std::string key = "model.layers.0.self_attn.k_proj.weight";
  refused_header("llama", [&](Json& h) { h[key]["shape"] = {h[key]["shape"][1], h[key]["shape"][0]}; },
                 {key, "shape must be [16, 32], got [32, 16]"});
  refused_header("llama", [&](Json& h) { h[key]["shape"] = {1, 16, 32}; }, {key, "shape"});
  refused_header("llama", [&](Json& h) { h[key]["dtype"] = "I32"; }, {key, "I32"});
  refused_header("llama", [](Json& h) { h["model.norm.weight"]["dtype"] = "U32"; }, {"model.norm.weight", "U32"});
  with_changed_model("llama", [](Json& c) { c["num_hidden_layers"] = 4; }, nothing, [](const auto& path) {
    refused([&] { io::load_decoder(path); }, {"model.safetensors", "layers.3.", "missing"});
  });
  with_changed_model("llama", [](Json& c) { c["vocab_size"] = 129; }, nothing, [](const auto& path) {
    refused([&] { io::load_decoder(path); }, {"embed_tokens.weight", "[129, 32]"});
  });
  with_changed_model("llama", nothing, nothing, [](const std::filesystem::path& path) {
    std::filesystem::remove(path / "model.safetensors");
    refused([&] { io::load_decoder(path); }, {"model.safetensors"});
  });
}

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

  // A tensor entry: name, dimensions (u32), extents (u64 each), type (u32), offset.
  Gguf unknown_type("llama-f32");
  const std::uint32_t number = 77;
  std::memcpy(unknown_type.bytes.data() + unknown_type.behind("blk.0.ffn_up.weight") + 4 + 16, &number, 4);
  refused_gguf(unknown_type, {"blk.0.ffn_up.weight", "77"});
  Gguf turned("llama-f32");
  char* extents = turned.bytes.data() + turned.behind("blk.0.ffn_up.weight") + 4;
  std::swap_ranges(extents, extents + 8, extents + 8);
  refused_gguf(turned, {"blk.0.ffn_up.weight", "shape must be"});

  Gguf factors("llama3-f32");
  const auto file = io::GgufFile(std::as_bytes(std::span(factors.bytes)), "whole");
  const auto place = static_cast<std::size_t>(file.at("rope_freqs.weight").data.data() -
                                              reinterpret_cast<const std::byte*>(factors.bytes.data()));
  std::memset(factors.bytes.data() + place, 0, 4);
  refused_gguf(factors, {"rope_freqs.weight", "positive"});
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
        test::KeepLayers<float> kept{decoder.layers()};
        DecoderWorkspace<float> workspace;
        SerialExecutor serial;
        Batch batch;
        batch.add(std::vector<TokenId>{0, 1, 2});
        decoder.forward(batch, Causal{}, kept, workspace, serial);
        CHECK(kept.layers.size() == static_cast<std::size_t>(decoder.layers() + 1));
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

TEST_CASE("a path that is neither a model file nor a directory with one is refused by name") {
  refused([] { io::load_decoder("/nonexistent/model.gguf"); }, {"/nonexistent/model.gguf"});
  const std::string endless(100000, 'x');
  refused([&] { io::load_decoder(endless); }, {"xxx"});
  refused([] { io::load_decoder(fixtures()); }, {"config.json"});
  refused([] { io::load_decoder(fixtures() / "models" / "llama" / "config.json"); }, {"config.json", "GGUF"});
}

TEST_CASE("names are understood with and without the prefix of the language model head") {
  with_changed_model("llama", nothing, [](Json& header) {
    Json bare;
    for (const auto& [name, value] : header.items()) bare[name.starts_with("model.") ? name.substr(6) : name] = value;
    header = bare;
  }, [](const std::filesystem::path& path) { CHECK(io::load_decoder(path).layers() > 0); });
}

TEST_CASE("a checkpoint in shards is the same model, and an index that misleads is refused") {
  const auto source = fixtures() / "models" / "llama";
  TemporaryDirectory directory;
  std::filesystem::copy(source / "config.json", directory.path / "config.json");
  const auto file = io::SafetensorsFile::open(source / "model.safetensors");
  io::SafetensorsWriter shards[2];
  Json map;
  for (const auto& [name, tensor] : file.tensors()) {
    const std::size_t shard = map.size() % 2;
    const Matrix<float> values = test::matrix<float>(tensor);
    shards[shard].add(name, values, tensor.shape.size() == 1);
    map[name] = "part-" + std::to_string(shard) + ".safetensors";
  }
  for (const int shard : {0, 1})
    shards[shard].write(directory.path / ("part-" + std::to_string(shard) + ".safetensors"));
  const auto write_index = [&](const Json& weight_map) {
    write_all(directory.path / "model.safetensors.index.json", Json{{"weight_map", weight_map}}.dump());
  };
  write_index(map);

  const auto run = [](const Decoder<float>& decoder) {
    test::KeepLayers<float> kept{decoder.layers()};
    DecoderWorkspace<float> workspace;
    SerialExecutor serial;
    Batch batch;
    batch.add(std::vector<TokenId>{1, 2, 3});
    decoder.forward(batch, Causal{}, kept, workspace, serial);
    return kept.layers;
  };
  CHECK(run(io::load_decoder(directory.path)) == run(io::load_decoder(source)));

  const std::string key = "model.norm.weight";
  const auto refused_index = [&](const Json& entry, std::vector<std::string> culprits) {
    Json changed = map;
    changed[key] = entry;
    write_index(changed);
    refused([&] { io::load_decoder(directory.path); }, culprits);
  };
  for (const char* outside : {"../part-0.safetensors", "/etc/passwd", "..", "", "a/b"})
    refused_index(outside, {"index.json", "weight_map." + key, "no file of this directory"});
  refused_index(3, {"index.json", "weight_map." + key, "name of a file"});
  refused_index("part-2.safetensors", {"part-2.safetensors"});
  refused_index(map[key] == "part-0.safetensors" ? "part-1.safetensors" : "part-0.safetensors", {key, "missing"});
  Json without = map;
  without.erase(key);
  write_index(without);
  refused([&] { io::load_decoder(directory.path); }, {"index.json", key, "missing"});
  write_all(directory.path / "model.safetensors.index.json", "{}");
  refused([&] { io::load_decoder(directory.path); }, {"index.json", "weight_map", "missing"});
}

TEST_CASE("a window is that of the layers that have it") {
  const auto window = [](const std::string& model, auto&& change) {
    Index found = -1;
    with_changed_model(model, change, nothing, [&](const auto& path) { found = io::load_decoder(path).trained_window(); });
    return found;
  };
  CHECK(window("qwen2", nothing) == 0);
  CHECK(window("qwen2", [](Json& c) { c["use_sliding_window"] = true; }) == 0);  // max_window_layers is every layer
  CHECK(window("qwen2", [](Json& c) { c["use_sliding_window"] = true, c["max_window_layers"] = 0; }) == 16);
  CHECK(window("mistral", [](Json& c) { c["sliding_window"] = 5; }) == 5);
  CHECK(window("mistral", [](Json& c) { c["sliding_window"] = nullptr; }) == 0);
  CHECK(window("mistral", [](Json& c) { c["layer_types"] = Json::array({"full_attention", "full_attention", "full_attention"}); }) == 0);
}
