#pragma once
#include "embedpool/core/error.hpp"

namespace embedpool::cuda {

/// CUDA or one of its libraries refused a call, or work that was begun before has failed: "<call>: <CUDA's text>".
/// Failures of running kernels are known only when they are there, so a later call may be the one that names them.
class CudaError : public Error {
 public:
  using Error::Error;
  CudaError(std::string_view call, std::string_view text) : Error(std::string(call) + ": " + std::string(text)) {}
};

}  // namespace embedpool::cuda
