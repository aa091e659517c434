#pragma once
#include <filesystem>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "embedpool/pooling/calibration.hpp"

namespace embedpool::io {

/// Writes a calibration as safetensors, whole or not at all: `mean` and `inverse_scale`, both [slots, D].
template <Real S>
void write_calibration(const Calibration<S>& calibration, const std::filesystem::path& path) {
  SafetensorsWriter writer;
  writer.add("mean", calibration.mean);
  writer.add("inverse_scale", calibration.inverse_scale);
  writer.write(path);
}

/// Reads a calibration for keys of `width` values and `slots` kinds.
///
/// Errors  FileError naming file and tensor: missing, another shape, a value that is not finite, a scale that is not
///         positive
template <Real S>
Calibration<S> read_calibration(const std::filesystem::path& path, Index slots, Index width) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const auto read = [&](const char* name, bool positive) {
    const Tensor& tensor = file.at(name);
    tensor.require_shape({slots, width});
    Matrix<S> values = matrix_of<S>(tensor);
    if (!values.allFinite()) tensor.fail("holds a value that is not finite");
    if (positive && !(values.array() > S(0)).all()) tensor.fail("must hold positive values only");
    return values;
  };
  return {read("mean", false), read("inverse_scale", true)};
}

}  // namespace embedpool::io
