#include "embedpool/io/peft_adapter_writer.hpp"

#include <doctest/doctest.h>

#include "embedpool/io/load_decoder.hpp"
#include "embedpool/io/peft_adapter.hpp"
#include "embedpool/model/new_lora_adapter.hpp"
#include "io/temporary_folder.hpp"
#include "model/random_decoder.hpp"
#include "model/golden_support.hpp"

using namespace embedpool;

namespace {

template <Real S>
void check_equal(const LoraAdapter<S>& a, const LoraAdapter<S>& b) {
  REQUIRE(a.entries.size() == b.entries.size());
  for (const auto& entry : a.entries) {
    const auto found = std::find_if(b.entries.begin(), b.entries.end(),
                                    [&](const auto& other) { return other.place == entry.place; });
    REQUIRE(found != b.entries.end());
    CHECK(entry.lora.a == found->lora.a);
    CHECK(entry.lora.b == found->lora.b);
    CHECK(entry.lora.scale == found->lora.scale);
  }
}

}  // namespace

TEST_CASE("an adapter that was written is read again as it was, for any rank, scale and kind of name") {
  const test::TemporaryFolder folder;
  const DecoderConfig config = test::small_config("llama");
  int number = 0;
  for (const Index rank : {1, 3, 16})
    for (const double alpha : {16.0, 7.5, 1.0 / 3})
      for (const bool stabilised : {false, true})
        for (const bool causal : {false, true}) {
          LoraOptions options;
          options.rank = rank;
          options.alpha = alpha;
          options.rank_stabilised = stabilised;
          LoraAdapter<float> adapter = new_lora_adapter<float>(config, options);
          for (auto& entry : adapter.entries) entry.lora.b.setRandom();
          const auto path = folder / std::to_string(++number);
          io::write_peft_adapter(adapter, {"base", 0.1, stabilised, causal}, path);
          check_equal(adapter, io::load_peft_adapter<float>(path, config));
        }
}

TEST_CASE("pairs of other ranks and scales than the first are written by name, and read again") {
  const test::TemporaryFolder folder;
  const DecoderConfig config = test::small_config("llama");
  LoraAdapter<float> adapter = new_lora_adapter<float>(config, {});
  for (auto& entry : adapter.entries) entry.lora.b.setRandom();
  LoraPair<float>& wide = adapter.entries[3].lora;
  wide.a = Matrix<float>::Random(20, wide.a.cols());
  wide.b = Matrix<float>::Random(wide.b.rows(), 20);
  adapter.entries.back().lora.scale *= 1.5f;
  for (const bool stabilised : {false, true})
    for (const bool causal : {false, true}) {
      io::write_peft_adapter(adapter, {"base", 0, stabilised, causal}, folder / "adapter");
      check_equal(adapter, io::load_peft_adapter<float>(folder / "adapter", config));
      const io::Json written = io::read_json((folder / "adapter") / "adapter_config.json");
      const std::string module = (causal ? "model." : "") + io::detail::module_name(adapter.entries[3].place);
      CHECK(written.at("rank_pattern") == io::Json{{module, 20}});
      CHECK(written.at("alpha_pattern").size() == 2);
    }
}

TEST_CASE("the adapters of the golden files are written as they were read") {
  const test::TemporaryFolder folder;
  Index found = 0;
  for (const auto& directory : test::entries(test::golden_directory() / "designs")) {
    if (!std::filesystem::exists(directory / "adapter_config.json")) continue;
    const std::string name = directory.filename().string();
    const auto model = io::load_hugging_face_decoder(test::golden_directory() / "models" / name.substr(0, name.find('-')));
    const auto adapter = io::load_peft_adapter(directory, model.config());
    const io::Json before = io::read_json(directory / "adapter_config.json");
    const bool stabilised = before.value("use_rslora", false);
    io::write_peft_adapter(adapter, {"base", before.value("lora_dropout", 0.0), stabilised}, folder / name);
    check_equal(adapter, io::load_peft_adapter(folder / name, model.config()));
    const io::Json after = io::read_json((folder / name) / "adapter_config.json");
    for (const char* key : {"r", "lora_alpha", "lora_dropout", "bias", "peft_type"}) CHECK(after.at(key) == before.at(key));
    ++found;
  }
  CHECK(found > 0);
}

TEST_CASE("the targets of a written adapter are the maps it has and no others") {
  const test::TemporaryFolder folder;
  const DecoderConfig config = test::small_config("llama");  // three blocks
  LoraOptions options;
  options.targets = {DecoderTensor::query, DecoderTensor::down};
  const auto targets = [&](const LoraAdapter<float>& adapter, Index blocks) {
    io::PeftDescription description;
    description.blocks = blocks;
    io::write_peft_adapter(adapter, description, folder / "adapter");
    return io::read_json((folder / "adapter") / "adapter_config.json").at("target_modules");
  };
  LoraAdapter<float> adapter = new_lora_adapter<float>(config, options);
  CHECK(targets(adapter, config.layers) == io::Json::array({"down_proj", "q_proj"}));
  CHECK(targets(adapter, 0) == io::Json::array({"down_proj", "q_proj"}));
  CHECK(targets(adapter, 4) == io::Json::array({"layers.0.mlp.down_proj", "layers.0.self_attn.q_proj", "layers.1.mlp.down_proj",
                                                "layers.1.self_attn.q_proj", "layers.2.mlp.down_proj",
                                                "layers.2.self_attn.q_proj"}));
  std::erase_if(adapter.entries, [](const auto& entry) { return entry.place == DecoderTensorPlace{DecoderTensor::query, 1}; });
  CHECK(targets(adapter, 3) == io::Json::array({"down_proj", "layers.0.self_attn.q_proj", "layers.2.self_attn.q_proj"}));
}

TEST_CASE("what one PEFT adapter cannot say is refused") {
  const test::TemporaryFolder folder;
  const DecoderConfig config = test::small_config("llama");
  const LoraAdapter<float> adapter = new_lora_adapter<float>(config, {});
  LoraAdapter<float> other = adapter;
  other.entries.back().lora.a.conservativeResize(2, Eigen::NoChange);
  CHECK_THROWS_AS(io::write_peft_adapter(other, {}, folder / "a"), ShapeError);
  other = adapter;
  other.entries.push_back(other.entries.front());
  CHECK_THROWS_AS(io::write_peft_adapter(other, {}, folder / "a"), ShapeError);
  CHECK_THROWS_AS(io::write_peft_adapter(LoraAdapter<float>{}, {}, folder / "a"), ShapeError);
  CHECK(!std::filesystem::exists(folder / "a"));
}

TEST_CASE("a new adapter has its targets, starts with B zero and A within its bound, and is a function of the seed") {
  const DecoderConfig config = test::small_config("llama");
  LoraOptions options;
  options.rank = 8;
  options.targets = {DecoderTensor::query, DecoderTensor::down};
  options.first_layer = 1;
  const auto adapter = new_lora_adapter<float>(config, options);
  CHECK(static_cast<Index>(adapter.entries.size()) == 2 * (config.layers - 1));
  for (const auto& [place, lora] : adapter.entries) {
    CHECK(place.layer >= 1);
    CHECK(lora.b.cwiseAbs().maxCoeff() == 0);
    const float bound = 1.0f / std::sqrt(static_cast<float>(lora.a.cols()));
    CHECK(lora.a.cwiseAbs().maxCoeff() <= bound);
    // 8 x 36 values or more, uniform: mean within four standard deviations, spread within a fifth.
    CHECK(std::abs(lora.a.mean()) < 4 * bound / std::sqrt(3.0f * 288));
    CHECK(lora.a.squaredNorm() / static_cast<float>(lora.a.size()) == doctest::Approx(bound * bound / 3).epsilon(0.2));
    CHECK(lora.scale == 4.0f);
  }
  CHECK(adapter.entries[0].lora.a != adapter.entries[2].lora.a);
  options.seed = 1;
  CHECK(new_lora_adapter<float>(config, options).entries[0].lora.a != adapter.entries[0].lora.a);
  options.targets = {DecoderTensor::embedding};
  CHECK_THROWS_AS(new_lora_adapter<float>(config, options), ShapeError);
}
