#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/layers.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "support/golden.hpp"

using namespace embedpool;

namespace {

/// Modes of sentence-transformers under our names.
std::string reader_name(const std::string& mode) {
  if (mode == "cls") return "first";
  if (mode == "lasttoken") return "last";
  if (mode == "weightedmean") return "weighted-mean";
  if (mode == "mean_sqrt_len_tokens") return "mean-sqrt";
  return mode;  // mean, max
}

}  // namespace

TEST_CASE_TEMPLATE("readers agree with the golden sentence-transformers modes, forward and backward", S, float, double) {
  // float: 1e-5 absolute and 2e-5 of a gradient's peak, several times what a plain float32 program was measured to
  // err. double: the stored results are rounded to float32, 6e-8 of their value.
  const double absolute = std::same_as<S, float> ? 1e-5 : 1e-7;
  const double of_peak = std::same_as<S, float> ? 2e-5 : 2e-7;
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "heads.safetensors");
  const Segments segments = test::segments_of(file.at("offsets"));
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
    const Matrix<float> inputs =
        io::matrix_of<float>(file.at(file.find(key + ".inputs") ? key + ".inputs" : "inputs"));
    const LayerStates<float> layer{rows_of(inputs), &segments, &all, {}};
    const Pooling<OneLayer, AnyTokens, Identity> pooling{{0}, AnyTokens::parse(reader_name(key.substr(3))), {}};

    auto stream = pooling.template stream<S>(nothing, segments, 0, inputs.cols(), executor, nullptr, KeepForBackward::yes);
    stream.push(0, layer);
    const Matrix<S> out = stream.finish();
    const Matrix<S> expected = io::matrix_of<S>(file.at(name));
    REQUIRE(out.rows() == expected.rows());
    REQUIRE(out.cols() == expected.cols());
    CHECK(test::peak(Matrix<S>(out - expected)) < absolute * std::max(1.0, test::peak(expected)));

    const Matrix<S> g = io::matrix_of<S>(file.at(key + ".g"));
    Matrix<S> gradient = Matrix<S>::Zero(inputs.rows(), inputs.cols());
    stream.backward(rows_of(g), no_gradient, executor);
    stream.backward_layer(0, layer, rows_of(gradient), executor);
    const Matrix<S> expected_gradient = io::matrix_of<S>(file.at(key + ".grad.inputs"));
    CHECK((gradient - expected_gradient).cwiseAbs().maxCoeff() < of_peak * expected_gradient.cwiseAbs().maxCoeff());
  }
  CHECK(cases > 0);
}
