#pragma once
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/io/safetensors.hpp"
#include "embedpool/io/safetensors_writer.hpp"
#include "embedpool/io/tensor_values.hpp"
#include "embedpool/train/trainer.hpp"

namespace embedpool {

/// Writes where a training stands, whole or not at all: every trained tensor under its name, the optimiser's moments as
/// NAME.first and NAME.second, and the number of steps done. `description` says in the caller's words what is trained on
/// what, with which settings; a resumed run must have the same.
///
/// Errors  FileError with the system's reason; TrainingError for a value that is not finite, from which nothing could go
///         on; a file that was there before stays then
template <class Model, class Loss>
void write_checkpoint(Trainer<Model, Loss>& trainer, const std::string& description, const std::filesystem::path& path) {
  trainer.require_finite();
  io::SafetensorsWriter writer;
  writer.add_metadata("description", description);
  writer.add_metadata("steps", std::to_string(trainer.steps()));
  const auto& moments = trainer.update().moments();
  const auto& tensors = trainer.tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& tensor = tensors[i];
    writer.add(tensor.name, *tensor.value);
    writer.add(tensor.name + ".first", moments[i].first);
    writer.add(tensor.name + ".second", moments[i].second);
  }
  writer.write(path);
}

/// Puts a trainer where write_checkpoint left one: it goes on with the same bits. Nothing is changed on errors.
///
/// Errors  FileError naming file, tensor and cause: another description, a missing or unknown tensor, another shape, a
///         value that is not finite
template <class Model, class Loss>
void read_checkpoint(Trainer<Model, Loss>& trainer, const std::string& description, const std::filesystem::path& path) {
  using S = typename Trainer<Model, Loss>::Scalar;
  const auto file = io::SafetensorsFile::open(path);
  const auto metadata = [&](const char* key) -> const std::string& {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end()) throw FileError(file.name(), key, "is missing: this is no checkpoint");
    return found->second;
  };
  if (metadata("description") != description)
    throw FileError(file.name(), "description", "is of another training: " + metadata("description"));
  const std::string& written = metadata("steps");
  if (written.empty() || written.size() > 12 || written.find_first_not_of("0123456789") != std::string::npos)
    throw FileError(file.name(), "steps", "is no count: " + written);
  const auto steps = static_cast<Index>(std::stoll(written));

  const auto& tensors = trainer.tensors();
  const auto read = [&](const std::string& name, const Matrix<S>& like) {
    const io::Tensor& tensor = file.at(name);
    tensor.require_shape({like.rows(), like.cols()});
    if (tensor.format != (sizeof(S) == sizeof(double) ? Format::F64 : Format::F32)) tensor.fail("has another type: " + tensor.type);
    Matrix<S> values = io::matrix_of<S>(tensor);
    if (!values.allFinite()) tensor.fail("holds a value that is not finite");
    return values;
  };
  if (file.tensors().size() != 3 * tensors.size())
    throw FileError(file.name(), "", "holds " + std::to_string(file.tensors().size()) + " tensors, must be " +
                                         std::to_string(3 * tensors.size()));
  std::vector<Matrix<S>> values;
  std::vector<typename ParameterUpdate<S>::Moments> moments;
  for (const auto& tensor : tensors) {
    values.push_back(read(tensor.name, *tensor.value));
    moments.push_back({read(tensor.name + ".first", *tensor.value), read(tensor.name + ".second", *tensor.value)});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) *tensors[i].value = values[i];  // in its place: others look at it
  trainer.update().restore(std::move(moments), steps);
  trainer.model().changed();
}

}  // namespace embedpool
