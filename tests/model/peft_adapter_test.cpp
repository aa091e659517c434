#include "embedpool/io/peft_adapter.hpp"

#include <unistd.h>

#include <fstream>
#include <limits>

#include "embedpool/io/safetensors_writer.hpp"
#include "model/golden_support.hpp"
#include "model/random_decoder.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using io::Json;

namespace {

/// An adapter on disk for the query of block 0 and the gate of block 1, gone at the end of the test.
struct AdapterFiles {
  std::filesystem::path path;
  DecoderConfig model = test::small_config("llama");
  Json config{{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 8}};
  std::map<std::string, Matrix<float>> tensors;

  AdapterFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "embedpool-adapter-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
    tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"] = Matrix<float>::Random(2, model.width);
    tensors["base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"] = Matrix<float>::Random(model.query_width(), 2);
    tensors["base_model.model.layers.1.mlp.gate_proj.lora_A.weight"] = Matrix<float>::Random(2, model.width);
    tensors["base_model.model.layers.1.mlp.gate_proj.lora_B.weight"] = Matrix<float>::Random(model.feed_forward_width, 2);
  }
  AdapterFiles(const AdapterFiles&) = delete;
  ~AdapterFiles() { std::filesystem::remove_all(path); }

  LoraAdapter<float> load() const {
    std::ofstream(path / "adapter_config.json") << config.dump();
    io::SafetensorsWriter writer;
    for (const auto& [name, values] : tensors) writer.add(name, values);
    writer.write(path / "adapter_model.safetensors");
    return io::load_peft_adapter(path, model);
  }
  void refused(const std::vector<std::string>& culprits) const {
    test::refused([&] { load(); }, culprits);
  }
};

}  // namespace

TEST_CASE("an adapter's scale is alpha / r, or alpha / sqrt(r) when rank-stabilised") {
  AdapterFiles files;
  const auto adapter = files.load();
  REQUIRE(adapter.entries.size() == 2);
  for (const auto& entry : adapter.entries) CHECK(entry.lora.scale == 4.0f);
  files.config["use_rslora"] = true;
  for (const auto& entry : files.load().entries) CHECK(entry.lora.scale == doctest::Approx(8 / std::sqrt(2.0)));
}

TEST_CASE("rank_pattern and alpha_pattern hold for the modules whose names end as they say, as in PEFT") {
  const auto scales = [](const char* key, const Json& pattern, bool stabilised = false) {
    AdapterFiles files;
    files.config[key] = pattern;
    files.config["use_rslora"] = stabilised;
    std::pair<float, float> of_query_and_gate;
    for (const auto& entry : files.load().entries)
      (entry.place.kind == DecoderTensor::query ? of_query_and_gate.first : of_query_and_gate.second) = entry.lora.scale;
    return of_query_and_gate;
  };
  const std::pair alone(1.0f, 4.0f), both(1.0f, 1.0f), none(4.0f, 4.0f);
  CHECK(scales("alpha_pattern", {{"q_proj", 2}}) == alone);
  CHECK(scales("alpha_pattern", {{"self_attn.q_proj", 2}}) == alone);
  CHECK(scales("alpha_pattern", {{"model.layers.0.self_attn.q_proj", 2}}) == alone);
  CHECK(scales("alpha_pattern", {{"^model.layers.(0|7).self_attn.q_proj", 2}}) == alone);
  CHECK(scales("alpha_pattern", {{"q_proj", 2}, {"layers.0.self_attn.q_proj", 2}}) == alone);
  CHECK(scales("alpha_pattern", {{R"(layers\.\d+\..*_proj)", 2}}) == both);
  CHECK(scales("alpha_pattern", {{"q_proj|gate_proj", 2}}) == both);
  for (const char* other : {"proj", "q_pro", "layers.1.self_attn.q_proj", "layers.0.self_attn", "^layers.0.self_attn.q_proj"})
    CHECK(scales("alpha_pattern", {{other, 2}}) == none);
  CHECK(scales("rank_pattern", {{"q_proj", 2}}) == none);  // the rank that all have
  CHECK(scales("alpha_pattern", {{"q_proj", std::sqrt(2.0)}}, true).first == 1.0f);

  AdapterFiles wider;
  wider.config["rank_pattern"] = {{"q_proj", 4}};
  const std::string query = "base_model.model.model.layers.0.self_attn.q_proj";
  wider.refused({query + ".lora_A.weight", "shape must be [4, 36], got [2, 36]"});
  wider.tensors[query + ".lora_A.weight"] = Matrix<float>::Ones(4, 36);
  wider.tensors[query + ".lora_B.weight"] = Matrix<float>::Ones(wider.model.query_width(), 4);
  for (const auto& entry : wider.load().entries)
    CHECK(entry.lora.scale == (entry.place.kind == DecoderTensor::query ? 2.0f : 4.0f));
}

TEST_CASE("adapters of other methods, for other models or of other ranks are refused by file, key or tensor, and cause") {
  const auto changed = [](const char* key, Json value, std::vector<std::string> culprits) {
    AdapterFiles files;
    files.config[key] = std::move(value);
    culprits.push_back("adapter_config.json");
    files.refused(culprits);
  };
  changed("peft_type", "IA3", {"peft_type", "IA3"});
  changed("use_dora", true, {"use_dora"});
  changed("fan_in_fan_out", true, {"fan_in_fan_out"});
  changed("bias", "all", {"bias"});
  changed("rank_pattern", Json{{"q_proj", 2.5}}, {"rank_pattern", "ranks"});
  changed("rank_pattern", Json{{"q_proj", 0}}, {"rank_pattern", "ranks"});
  changed("rank_pattern", Json{{"q_proj", "2"}}, {"rank_pattern", "q_proj"});
  changed("rank_pattern", Json{{"q_proj(", 2}}, {"rank_pattern", "q_proj("});
  changed("rank_pattern", Json::array({2}), {"rank_pattern"});
  changed("alpha_pattern", Json{{"q_proj", 4}, {"layers.0.self_attn.q_proj", 8}},
          {"alpha_pattern", "both match", "layers.0", "'q_proj'"});
  changed("alpha_pattern", Json{{"q_proj", 1e300}}, {"lora_alpha", "out of range", "q_proj"});
  changed("modules_to_save", Json::array({"head"}), {"modules_to_save"});
  changed("alora_invocation_tokens", Json::array({3, 5}), {"alora_invocation_tokens"});
  changed("target_parameters", Json::array({"experts.gate_up_proj"}), {"target_parameters"});
  changed("use_bdlora", Json{{"nblocks", 2}}, {"use_bdlora"});
  changed("init_lora_weights", "pissa_niter_4", {"init_lora_weights", "pissa_niter_4"});
  changed("init_lora_weights", "olora", {"init_lora_weights", "olora"});
  changed("init_lora_weights", "OLoRA", {"init_lora_weights", "olora"});
  changed("r", 0, {"r", "got 0"});
  changed("lora_alpha", "8", {"lora_alpha"});
  changed("lora_alpha", 1e300, {"lora_alpha", "out of range"});

  const std::string query = "base_model.model.model.layers.0.self_attn.q_proj";
  AdapterFiles other_rank;
  other_rank.config["r"] = 3;
  other_rank.refused({"adapter_model.safetensors", "lora_A.weight", "shape must be [3, 36], got [2, 36]"});
  AdapterFiles half;
  half.tensors.erase(query + ".lora_B.weight");
  half.refused({query + ".lora_B.weight", "missing"});
  AdapterFiles other_half;
  other_half.tensors.erase(query + ".lora_A.weight");
  other_half.refused({query + ".lora_A.weight", "missing"});
  AdapterFiles wider;
  wider.tensors[query + ".lora_B.weight"] = Matrix<float>::Zero(7, 2);
  wider.refused({query + ".lora_B.weight", "shape"});
  AdapterFiles diverged;
  diverged.tensors[query + ".lora_B.weight"](3, 1) = std::numeric_limits<float>::quiet_NaN();
  diverged.refused({"adapter_model.safetensors", query + ".lora_B.weight", "not finite"});
  AdapterFiles deeper;
  deeper.tensors["base_model.model.layers.9.mlp.up_proj.lora_A.weight"] = Matrix<float>::Zero(2, 36);
  deeper.refused({"layers.9.mlp.up_proj.lora_A.weight", "no LoRA half"});
  AdapterFiles twice;
  for (const char* end : {".lora_A.weight", ".lora_B.weight"})
    twice.tensors["base_model.model.layers.0.self_attn.q_proj" + std::string(end)] = twice.tensors.at(query + end);
  twice.refused({"layers.0.self_attn.q_proj", "another tensor"});
  AdapterFiles embedding;
  embedding.tensors["base_model.model.model.embed_tokens.lora_A.weight"] = Matrix<float>::Zero(2, 36);
  embedding.refused({"embed_tokens.lora_A.weight", "no LoRA half"});
  AdapterFiles empty;
  empty.tensors.clear();
  empty.refused({"adapter_model.safetensors", "no LoRA matrices"});
}

TEST_CASE("features that are named and not used are no reason to refuse an adapter") {
  AdapterFiles files;
  for (const char* key : {"alora_invocation_tokens", "target_parameters", "use_bdlora", "modules_to_save", "rank_pattern"})
    files.config[key] = nullptr;
  files.config["use_bdlora"] = false;
  files.config["alpha_pattern"] = Json::object();
  files.config["use_dora"] = false;
  for (const Json& start : {Json(true), Json("gaussian"), Json("orthogonal")}) {
    files.config["init_lora_weights"] = start;
    CHECK(files.load().entries.size() == 2);
  }
}

TEST_CASE("a merged matrix has the same bits for any number of threads, whatever the rank") {
  std::srand(5);
  const LoraPair<float> lora{Matrix<float>::Random(512, 96), Matrix<float>::Random(320, 512), 0.5f};
  const Matrix<float> w = Matrix<float>::Random(320, 96);
  const WeightView view{reinterpret_cast<const std::byte*>(w.data()), Format::F32, 320, 96};
  const Matrix<float> expected = [&] {
    const SerialProducts serial;
    return merged_weight(view, lora);
  }();
  CHECK(merged_weight(view, lora) == expected);
  CHECK((expected - w - 0.5f * lora.b * lora.a).cwiseAbs().maxCoeff() < 1e-4f);  // 512 products of size 1
}

TEST_CASE("merging changes the named matrices and no other, and refuses pairs that do not fit") {
  AdapterFiles files;
  const auto adapter = files.load();
  const auto decoder = test::random_decoder<float>(files.model);
  const auto changed = merged(decoder, adapter);
  Index differ = 0;
  std::vector<const std::byte*> before;
  for_each_tensor(decoder.weights(), files.model, [&](const DecoderTensorPlace&, const auto& tensor) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) before.push_back(tensor.data);
  });
  std::size_t i = 0;
  for_each_tensor(changed.weights(), files.model, [&](const DecoderTensorPlace& place, const auto& tensor) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>)
      if (tensor.data != before[i++]) {
        ++differ;
        CHECK((place == DecoderTensorPlace{DecoderTensor::query, 0} || place == DecoderTensorPlace{DecoderTensor::gate, 1}));
      }
  });
  CHECK(differ == 2);
  LoraAdapter<float> wrong = adapter;
  wrong.entries[0].lora.a.conservativeResize(2, 35);
  CHECK_THROWS_AS(merged(decoder, wrong), ShapeError);
  wrong = adapter;
  wrong.entries[0].place.layer = 77;
  CHECK_THROWS_AS(merged(decoder, wrong), ShapeError);
}
