#include <doctest/doctest.h>
#include <unistd.h>

#include "embedpool/io/head_files.hpp"

using namespace embedpool;

namespace {

std::filesystem::path temporary(const std::string& name) {
  return std::filesystem::temp_directory_path() / ("embedpool_" + std::to_string(getpid()) + "_" + name);
}

/// A head of a user's with a tensor for each kind of key, and an option that the library's heads have as another type.
struct PerKind {
  bool residual = true;
  Index count = 5;

  template <Real S>
  struct Params {
    std::vector<Matrix<S>> gains;
    Matrix<S> gamma;
  };
  template <class P, class F>
  static void for_each(P& params, F&& f) {
    for (std::size_t k = 0; k < params.gains.size(); ++k) f("gains." + std::to_string(k), params.gains[k]);
    f("gamma", params.gamma);
  }
  template <Real S>
  Params<S> init(Index width, Index slots) const {
    Params<S> params{{}, Matrix<S>::Constant(3, width, S(0.5))};
    for (Index k = 0; k < slots; ++k) params.gains.push_back(Matrix<S>::Constant(1, width, S(k)));
    return params;
  }
};

}  // namespace

TEST_CASE("every head's parameters and options survive a file") {
  constexpr Index width = 8;
  for (const std::string_view name : AnyHead::names) {
    const Index slots = name == "identity" ? 1 : 6;
    CAPTURE(std::string(name));
    const AnyHead head = AnyHead::named(name);
    auto params = head.init<float>(width, slots, 3);
    const auto path = temporary("head.safetensors");
    io::write_head(head, params, path);
    auto read = io::read_head<float>(head, width, slots, path);
    std::vector<Matrix<float>> written;
    AnyHead::for_each(params, [&](const std::string&, Matrix<float>& tensor) { written.push_back(tensor); });
    std::size_t i = 0;
    AnyHead::for_each(read, [&](const std::string&, Matrix<float>& tensor) { CHECK(tensor == written[i++]); });
    CHECK(i == written.size());
    std::filesystem::remove(path);

    const io::Json settings = io::head_settings(head);
    const AnyHead again = io::head_from_settings(std::string(name), io::JsonObject(settings, "embedder.json"));
    CHECK(io::head_settings(again) == settings);
    CHECK(again.name() == name);
  }
}

TEST_CASE("options that differ from the defaults survive a file") {
  PerceiverHead perceiver{3, 2, 5, 7, true, Residual::latents};
  const io::Json settings = io::head_settings(perceiver);
  const AnyHead read = io::head_from_settings("perceiver", io::JsonObject(settings, "embedder.json"));
  const auto& own = std::get<PerceiverHead>(read.variant());
  CHECK(own.latents == 3);
  CHECK(own.feed_forward == 7);
  CHECK(own.layer_table);
  CHECK(own.residual == Residual::latents);
}

TEST_CASE("a head's file or options that do not fit are refused by name") {
  const AnyHead mix = LayerMix{};
  auto params = mix.init<float>(8, 5, 3);
  const auto path = temporary("mix.safetensors");
  io::write_head(mix, params, path);
  CHECK_THROWS_WITH_AS(io::read_head<float>(mix, 8, 6, path), doctest::Contains("scalars"), FileError);
  CHECK_THROWS_WITH_AS(io::read_head<float>(AnyHead(WeightedLayers{}), 8, 5, path), doctest::Contains("layer-mix"), FileError);
  CHECK_THROWS_WITH_AS(io::read_head<float>(AnyHead(LayerMean{}), 8, 5, path), doctest::Contains("layer-mix"), FileError);
  std::filesystem::remove(path);
  CHECK_THROWS_WITH_AS(io::read_head<float>(mix, 8, 5, path), doctest::Contains("mix.safetensors"), FileError);
  const io::Json wrong = {{"latents", -1}}, unknown = {{"latent", 1}};
  CHECK_THROWS_WITH_AS(io::head_from_settings("perceiver", io::JsonObject(wrong, "f")), doctest::Contains("latents"), FileError);
  CHECK_THROWS_WITH_AS(io::head_from_settings("perceiver", io::JsonObject(unknown, "f")), doctest::Contains("latent"), FileError);
  CHECK_THROWS_WITH_AS(io::head_from_settings("best", io::JsonObject(io::Json::object(), "f")), doctest::Contains("best"), FileError);
}

TEST_CASE("files of other software are read by their tensors, and refused by name when one is missing, unknown or of another shape") {
  const auto path = temporary("plain.safetensors");
  const auto refused = [&](const AnyHead& head, const std::string& tensor, const Matrix<float>& value, const char* culprit) {
    io::SafetensorsWriter writer;  // no metadata: what a head it is nobody says
    writer.add(tensor, value);
    writer.write(path);
    CHECK_THROWS_WITH_AS(io::read_head<float>(head, 8, 5, path), doctest::Contains(culprit), FileError);
    std::filesystem::remove(path);
  };
  refused(WeightedLayers{}, "scalars", Matrix<float>::Ones(1, 5), "layer_weights");
  refused(LayerMean{}, "scalars", Matrix<float>::Ones(1, 5), "scalars");
  refused(WeightedLayers{}, "layer_weights", Matrix<float>::Ones(5, 1), "weights: rows");  // as many values, upright
}

TEST_CASE("options of any size reserve no memory before the file has been read") {
  const Index most = Index(1) << 24;
  const AnyHead huge = PerceiverHead{most, most, most, most, true, Residual::latents};
  CHECK_THROWS_WITH_AS(io::read_head<float>(huge, most, most, temporary("none")), doctest::Contains("none"), FileError);
  const AnyHead mix = LayerMix{};
  auto params = mix.init<float>(8, 5);
  const auto path = temporary("small.safetensors");
  io::SafetensorsWriter writer;
  AnyHead::for_each(params, [&](const std::string& name, Matrix<float>& tensor) { writer.add(name, tensor); });
  writer.write(path);
  CHECK_THROWS_WITH_AS(io::read_head<float>(huge, most, most, path), doctest::Contains("latents"), FileError);
  std::filesystem::remove(path);
}

TEST_CASE("a user's head comes back as it was: tensors by kind of key, members and names of its own") {
  const PerKind head;
  auto params = head.init<float>(4, 3);
  const auto path = temporary("users.safetensors");
  io::write_head(head, params, path);
  const auto read = io::read_head<float>(head, 4, 3, path);
  REQUIRE(read.gains.size() == 3);
  for (std::size_t k = 0; k < 3; ++k) CHECK(read.gains[k] == params.gains[k]);
  CHECK(read.gamma == params.gamma);  // a matrix, though others have a vector of that name
  std::filesystem::remove(path);
}

TEST_CASE("gains and biases are written as vectors, as checkpoints have them, and a single latent as a matrix") {
  const PerceiverHead head{1, 2, 3};
  auto params = head.init<float>(8, 1);
  const auto path = temporary("shapes.safetensors");
  io::write_head(head, params, path);
  const auto file = io::SafetensorsFile::open(path);
  CHECK(file.at("cross_attend_blocks.0.norm.weight").shape == std::vector<Index>{8});
  CHECK(file.at("cross_attend_blocks.1.fn.net.2.bias").shape == std::vector<Index>{8});
  CHECK(file.at("latents").shape == std::vector<Index>{1, 8});
  std::filesystem::remove(path);
}
