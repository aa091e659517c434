#include "embedpool/io/load_decoder.hpp"

#include "model/damaged_models.hpp"

using namespace embedpool;
using namespace embedpool::test;

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

TEST_CASE("a model beside whose files an adapter lies is refused, not loaded without it") {
  with_changed_model("llama", nothing, nothing, [](const std::filesystem::path& path) {
    write_all(path / "adapter_config.json", "{}");
    refused([&] { io::load_decoder(path); }, {"adapter_config.json", "merged"});
    std::filesystem::remove(path / "config.json");  // of a folder with nothing but the adapter, too
    refused([&] { io::load_decoder(path); }, {"adapter_config.json", "merged"});
  });
}

TEST_CASE("a model says that it was trained bidirectionally") {
  const auto bidirectional = [](auto&& change) {
    bool found = false;
    with_changed_model("qwen2", change, nothing, [&](const auto& path) { found = io::load_decoder(path).config().bidirectional; });
    return found;
  };
  CHECK_FALSE(bidirectional(nothing));
  CHECK_FALSE(bidirectional([](Json& c) { c["is_causal"] = true, c["use_bidirectional_attention"] = nullptr; }));
  CHECK(bidirectional([](Json& c) { c["is_causal"] = false; }));
  CHECK(bidirectional([](Json& c) { c["use_bidirectional_attention"] = true; }));
}

TEST_CASE("Gemma's activation is what its configuration names; plain gelu and no name are the tanh form") {
  const auto activation = [](auto&& change) {
    GateActivation found{};
    with_changed_model("gemma", change, nothing, [&](const auto& path) { found = io::load_decoder(path).config().activation; });
    return found;
  };
  const auto named = [&](Json own, Json older) {
    return activation([=](Json& c) { c["hidden_act"] = own, c["hidden_activation"] = older; });
  };
  CHECK(named(nullptr, nullptr) == GateActivation::gelu_tanh);
  CHECK(named("gelu", nullptr) == GateActivation::gelu_tanh);
  CHECK(named("silu", nullptr) == GateActivation::silu);
  CHECK(named("gelu", "gelu") == GateActivation::gelu_erf);
  refused_config("gemma", [](Json& c) { c["hidden_act"] = "relu", c.erase("hidden_activation"); }, {"hidden_act", "'relu'"});
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
  CHECK(window("mistral", [](Json& c) { c.erase("sliding_window"); }) == 4096);  // the defaults of transformers
  CHECK(window("qwen2", [](Json& c) { c["use_sliding_window"] = true, c.erase("sliding_window"), c["max_window_layers"] = 0; }) == 4096);
  CHECK(window("qwen2", [](Json& c) { c["use_sliding_window"] = true, c.erase("max_window_layers"); }) == 0);  // from layer 28 on
  CHECK(window("llama", [](Json& c) { c["sliding_window"] = 5; }) == 0);
  CHECK(window("mistral", [](Json& c) { c["layer_types"] = Json::array({"full_attention", "full_attention", "full_attention"}); }) == 0);
}
