#pragma once
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "embedpool/core/error.hpp"
#include "embedpool/io/tensor.hpp"

namespace embedpool::io {

/// The tensors of a file or of a model's directory, by name.
class NamedTensors {
 public:
  /// What was read, for messages.
  const std::string& name() const noexcept { return name_; }
  const std::map<std::string, Tensor>& tensors() const noexcept { return tensors_; }
  const Tensor* find(std::string_view tensor) const {
    const auto found = tensors_.find(std::string(tensor));
    return found == tensors_.end() ? nullptr : &found->second;
  }
  /// Errors: FileError when it is not there.
  const Tensor& at(std::string_view tensor) const {
    if (const Tensor* found = find(tensor)) return *found;
    throw FileError(name_, "tensor " + std::string(tensor), "missing");
  }

 protected:
  explicit NamedTensors(std::string name) : name_(std::move(name)) {}

  std::string name_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace embedpool::io
