#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/layers.hpp"
#include "embedpool/pooling/pooling.hpp"

using namespace embedpool;

namespace {

std::filesystem::path golden_directory() {
  const char* chosen = std::getenv("EMBEDPOOL_GOLDEN");
  return chosen != nullptr ? chosen : EMBEDPOOL_TEST_GOLDEN_DIR;
}

/// The values of an F32 tensor [rows, columns].
Rows<const float> matrix(const io::SafetensorsFile& file, const std::string& name) {
  const io::Tensor& tensor = file.at(name);
  REQUIRE(tensor.type == "F32");
  REQUIRE(tensor.shape.size() == 2);
  return {reinterpret_cast<const float*>(tensor.data.data()), tensor.shape[0], tensor.shape[1]};
}

Segments segments_of(const io::SafetensorsFile& file) {
  const io::Tensor& tensor = file.at("offsets");
  REQUIRE(tensor.type == "I64");
  return Segments::from_offsets(
      {reinterpret_cast<const Index*>(tensor.data.data()), static_cast<std::size_t>(tensor.size())});
}

/// Modes of sentence-transformers under our names.
std::string reader_name(const std::string& mode) {
  if (mode == "cls") return "first";
  if (mode == "lasttoken") return "last";
  if (mode == "weightedmean") return "weighted-mean";
  if (mode == "mean_sqrt_len_tokens") return "mean-sqrt";
  return mode;  // mean, max
}

template <Real S>
Matrix<S> as(Rows<const float> values) {
  return as_eigen(values).template cast<S>();
}

}  // namespace

TEST_CASE_TEMPLATE("readers agree with the golden sentence-transformers modes, forward and backward", S, float, double) {
  // float: 1e-5 absolute and 2e-5 of a gradient's peak, several times what a plain float32 program was measured to
  // err. double: the stored results are rounded to float32, 6e-8 of values up to about 10.
  const double absolute = std::same_as<S, float> ? 1e-5 : 1e-6;
  const double of_peak = std::same_as<S, float> ? 2e-5 : 2e-7;
  const auto file = io::SafetensorsFile::open(golden_directory() / "heads.safetensors");
  const Segments segments = segments_of(file);
  const RowSelection all = RowSelection::all(segments);
  const Identity::Params<S> nothing{};
  Identity::Params<S> no_gradient{};
  SerialExecutor executor;
  int cases = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    if (!name.starts_with("st_") || !name.ends_with(".out")) continue;
    const std::string key = name.substr(0, name.size() - 4);
    CAPTURE(key);
    ++cases;
    const Rows<const float> inputs = matrix(file, file.find(key + ".inputs") ? key + ".inputs" : "inputs");
    const LayerStates<float> layer{inputs, &segments, &all, {}};
    const Pooling<OneLayer, AnyTokens, Identity> pooling{{0}, AnyTokens::parse(reader_name(key.substr(3))), {}};

    auto stream = pooling.template stream<S>(nothing, segments, 0, inputs.cols, executor, nullptr, KeepForBackward::yes);
    stream.push(0, layer);
    const Matrix<S> out = stream.finish();
    const Matrix<S> expected = as<S>(matrix(file, name));
    REQUIRE(out.rows() == expected.rows());
    REQUIRE(out.cols() == expected.cols());
    CHECK((out - expected).cwiseAbs().maxCoeff() < absolute);

    const Matrix<S> g = as<S>(matrix(file, key + ".g"));
    Matrix<S> gradient = Matrix<S>::Zero(inputs.rows, inputs.cols);
    stream.backward(rows_of(g), no_gradient, executor);
    stream.backward_layer(0, layer, rows_of(gradient), executor);
    const Matrix<S> expected_gradient = as<S>(matrix(file, key + ".grad.inputs"));
    CHECK((gradient - expected_gradient).cwiseAbs().maxCoeff() < of_peak * expected_gradient.cwiseAbs().maxCoeff());
  }
  CHECK(cases > 0);
}
