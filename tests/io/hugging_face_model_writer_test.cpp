// A decoder written as a Hugging Face model: its weights, its config.json, and the folder that they go into.
#include <doctest/doctest.h>

#include <fstream>

#include "embedpool/core/executor.hpp"
#include "embedpool/io/atomic_folder.hpp"
#include "embedpool/io/hugging_face_config_writer.hpp"
#include "embedpool/io/hugging_face_weights_writer.hpp"
#include "embedpool/io/load_decoder.hpp"
#include "io/temporary_folder.hpp"
#include "model/golden_support.hpp"
#include "model/random_decoder.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using test::TemporaryFolder;

namespace {

using Adapters = std::vector<LoraAdapter<float>>;

/// The last layer's states of a few texts.
Matrix<float> states(const Decoder<float>& decoder) {
  const Batch batch = test::batch_of(test::random_texts(decoder.config().vocabulary));
  DecoderWorkspace<float> workspace;
  DefaultExecutor executor;
  test::KeepLayers<float> sink{decoder.layers()};
  decoder.forward(batch, Causal{}, sink, workspace, executor);
  return sink.layers.at(decoder.layers());
}

io::SafetensorsFile written(const TemporaryFolder& folder, const Decoder<float>& decoder, const Adapters& adapters = {},
                            Format format = Format::F32, float gain_offset = 0) {
  const auto path = folder / "model.safetensors";
  io::write_hugging_face_weights<float>(decoder, adapters, gain_offset, format, path);
  return io::SafetensorsFile::open(path);
}

/// Rows of every tensor of a decoder, those of q and k in the order for halves, by their Hugging Face names.
std::map<std::string, Matrix<float>> tensors(const Decoder<float>& decoder) {
  std::map<std::string, Matrix<float>> result;
  const DecoderConfig& config = decoder.config();
  for_each_tensor(decoder.weights(), config, [&](const DecoderTensorPlace& place, const auto& tensor) {
    const auto [rows, cols] = tensor_shape(place.kind, config);
    Matrix<float> values(rows, cols);
    using T = DecoderTensor;
    const bool interleaved = config.rotary_style == RotaryStyle::interleaved;
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(tensor)>, WeightView>) {
      const bool permuted = interleaved && (place.kind == T::query || place.kind == T::key);
      for (Index n = 0; n < rows; ++n)
        decode_row(tensor, n, values.row(permuted ? row_for_halves(n, config.head_dim) : n).data());
    } else {
      const bool permuted = interleaved && (place.kind == T::query_bias || place.kind == T::key_bias);
      for (Index n = 0; n < cols; ++n)
        values(0, permuted ? row_for_halves(n, config.head_dim) : n) = tensor[static_cast<std::size_t>(n)];
    }
    result.emplace(io::hugging_face_name(place), std::move(values));
  });
  return result;
}

LoraAdapter<float> random_adapter(const DecoderConfig& config, unsigned seed) {
  LoraAdapter<float> adapter;
  std::srand(seed);  // Eigen's Random
  for (const auto kind : {DecoderTensor::query, DecoderTensor::key, DecoderTensor::down}) {
    const auto [rows, cols] = tensor_shape(kind, config);
    adapter.entries.push_back({{kind, 1, config.experts > 0 && kind == DecoderTensor::down ? Index(2) : Index(-1)},
                               {Matrix<float>::Random(3, cols), Matrix<float>::Random(rows, 3), 0.5f}});
  }
  return adapter;
}

}  // namespace

TEST_CASE("every GGUF file, written as a Hugging Face model, holds the same values and gives the same states") {
  int files = 0;
  for (const auto& path : test::entries(test::golden_directory() / "gguf", ".gguf")) {
    CAPTURE(path.string());
    const auto file = io::GgufFile::open(path);
    const auto decoder = io::load_decoder<float>(file);
    const TemporaryFolder folder;
    folder.write("config.json", io::hugging_face_config(file, Format::F32).dump());
    written(folder, decoder);
    const auto again = io::load_decoder<float>(folder / "");
    CHECK(again.config().rotary_style == RotaryStyle::halves);
    const auto before = tensors(decoder), after = tensors(again);
    REQUIRE(before.size() == after.size());
    for (const auto& [name, values] : before) CHECK(values == after.at(name));
    const Matrix<float> expected = states(decoder), got = states(again);
    // The same products, summed in another order where rotation pairs other columns: a few roundings of 6e-8.
    CHECK((got - expected).norm() <= 1e-5f * expected.norm());
    ++files;
  }
  CHECK(files > 0);
}

TEST_CASE("decoders of every architecture come back from their files to the bit, with stacked adapters merged in order") {
  for (const std::string& name : test::architectures()) {
    CAPTURE(name);
    const auto decoder = test::random_decoder<float>(test::small_config(name));
    const Adapters adapters{random_adapter(decoder.config(), 1), random_adapter(decoder.config(), 2)};
    const auto expected = tensors(merged(merged(decoder, adapters[0]), adapters[1]));
    const TemporaryFolder folder;
    const auto file = written(folder, decoder, adapters);
    CHECK(file.tensors().size() == expected.size());
    for (const auto& tensor : expected) {
      CAPTURE(tensor.first);
      CHECK(io::matrix_of<float>(file.at(tensor.first)) == tensor.second);
    }
    const std::string changed = name == "mixtral" ? "layers.1.block_sparse_moe.experts.2.w2.weight" : "layers.1.mlp.down_proj.weight";
    CHECK(expected.at(changed) != tensors(decoder).at(changed));
  }
}

TEST_CASE("values are rounded to nearest, ties to even, and Gemma's norms are stored less 1") {
  const auto decoder = test::random_decoder<float>(test::small_config("gemma"));
  auto expected = tensors(decoder);
  for (auto& [name, values] : expected)
    if (name.find("norm") != std::string::npos) values.array() -= 1.0f;
  const TemporaryFolder folder;
  for (const Format format : {Format::F32, Format::BF16, Format::F16}) {
    const auto file = written(folder, decoder, {}, format, 1.0f);
    for (const auto& [name, values] : expected) {
      const io::Tensor& tensor = file.at(name);
      CHECK(tensor.type == info(format).name);
      const auto rounded = [&](float x) {
        return format == Format::F32 ? x : format == Format::BF16 ? to_float(to_bf16(x)) : to_float(to_f16(x));
      };
      CHECK(io::matrix_of<float>(tensor) == Matrix<float>(values.unaryExpr(rounded)));
    }
  }
}

TEST_CASE("what cannot be written is refused by tensor and leaves no file") {
  const TemporaryFolder folder;
  const auto decoder = test::random_decoder<float>(test::small_config("llama"));
  auto adapter = random_adapter(decoder.config(), 1);
  adapter.entries[1].place.layer = 7;
  test::refused<ShapeError>([&] { written(folder, decoder, {adapter}); }, {"block 7, key", "no matrix of this model"});
  adapter = random_adapter(decoder.config(), 1);
  adapter.entries[2].lora.a.conservativeResize(3, 5);
  test::refused<ShapeError>([&] { written(folder, decoder, {adapter}); }, {"block 1, down", "columns of A must be 54, got 5"});
  adapter = random_adapter(decoder.config(), 1);
  adapter.entries[0].lora.scale = 1e6f;
  test::refused<ShapeError>([&] { written(folder, decoder, {adapter}, Format::F16); },
                            {"layers.1.self_attn.q_proj.weight", "beyond the range of F16"});
  test::refused<ShapeError>([&] { written(folder, decoder, {}, Format::Q8_0); }, {"Q8_0"});
  io::SafetensorsWriter writer;
  writer.add_made("short", "F32", 4, {3}, [](const auto& sink) { sink(std::as_bytes(std::span("seven b", 7))); });
  test::refused<ShapeError>([&] { writer.write(folder / "short.safetensors"); }, {"bytes made of short must be 12, got 7"});
  CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("a config.json for a bare model names its class and type, and nothing of quantised values") {
  const io::Json source = {{"model_type", "qwen2"}, {"architectures", {"Qwen2ForCausalLM"}}, {"dtype", "float16"},
                           {"tie_word_embeddings", false}, {"quantization_config", {{"bits", 4}}}, {"kept", 7}};
  const io::Json made = io::for_bare_model(source, Format::BF16);
  CHECK(made.at("architectures") == io::Json::array({"Qwen2Model"}));
  CHECK(made.at("dtype") == "bfloat16");
  CHECK(made.at("tie_word_embeddings") == true);
  CHECK(made.at("kept") == 7);
  CHECK_FALSE(made.contains("quantization_config"));
  CHECK_FALSE(made.contains("torch_dtype"));
  CHECK(io::for_bare_model({{"model_type", "llama"}}, Format::F32).at("torch_dtype") == "float32");
}

TEST_CASE("a folder appears whole at commit, and only where nothing is") {
  const TemporaryFolder folder;
  {
    io::AtomicFolder made(folder / "new/out/");
    std::ofstream(made.path() / "file") << "content";
    CHECK_FALSE(std::filesystem::exists(folder / "new/out"));
  }
  CHECK(std::filesystem::is_empty(folder / "new"));
  std::filesystem::create_directory(folder / "new/out");  // an empty one is as good as none
  {
    io::AtomicFolder made(folder / "new/out");
    std::ofstream(made.path() / "file") << "content";
    made.commit();
  }
  CHECK(std::filesystem::exists(folder / "new/out/file"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "new"), {}) == 1);
  test::refused<FileError>([&] { io::AtomicFolder(folder / "new/out"); }, {"new/out", "is not empty"});
  folder.write("model/config.json", "{}");
  test::refused<FileError>([&] { io::AtomicFolder(folder / "model"); }, {"model: config.json", "holds a model already"});
  test::refused<FileError>([&] { io::AtomicFolder(folder / "model/config.json"); }, {"no folder"});
  test::refused<FileError>([&] { io::AtomicFolder(folder / "model/config.json/out"); }, {"create folder"});
}
