#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "embedpool/kernels/dequantize.hpp"
#include "kernels/random_values.hpp"
#include "support/golden.hpp"

using namespace embedpool;

TEST_CASE("every format's golden blocks decode to the golden values within one place") {
  const auto file = io::SafetensorsFile::open(test::golden_directory() / "gguf" / "dequant.safetensors");
  int checked = 0;
  for (const auto& [name, blocks] : file.tensors()) {
    if (!name.ends_with(".blocks")) continue;
    const std::string type = name.substr(0, name.size() - 7);
    CAPTURE(type);
    const Format* format = nullptr;
    for (const Format& known : test::every_format)
      if (info(known).name == type) format = &known;
    REQUIRE(format != nullptr);
    const Matrix<float> expected = io::matrix_of<float>(file.at(type + ".values"));
    REQUIRE(blocks.shape.back() == info(*format).block_bytes);
    REQUIRE(expected.cols() == info(*format).block_values);
    Matrix<float> got(expected.rows(), expected.cols());
    decode_values(*format, blocks.data.data(), got.size(), got.data());
    for (Index i = 0; i < got.size(); ++i) {
      const float want = expected.data()[i];
      // d s q may be multiplied in another order, and a product and a sum may be rounded once: one place of the terms,
      // which where two terms cancel is more than one place of the result.
      const float terms = std::max(std::abs(want), *format == Format::F16 || *format == Format::BF16
                                                       ? 0.0f
                                                       : expected.row(i / expected.cols()).cwiseAbs().maxCoeff());
      REQUIRE(std::abs(got.data()[i] - want) <= terms * std::numeric_limits<float>::epsilon());
    }
    ++checked;
  }
  CHECK(checked > 0);
}
