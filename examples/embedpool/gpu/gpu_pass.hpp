#pragma once
#include <memory>
#include <span>
#include <vector>

#include "../forward_pass.hpp"

namespace embedpool::program {

/// ForwardPass on a GPU: the decoder, the readers and the heads run there. Made by gpu_pass; parameters lie
/// there: the same readings may come again calibrated, but not with other parameters.
class GpuPass {
 public:
  virtual ~GpuPass() = default;
  /// For each reading the embeddings of the batch, [texts, width].
  virtual std::vector<Matrix<float>> embed(const Batch& batch, std::span<const Reading> readings) = 0;
  /// For each reading the keys of the batch, calibrated, as KeyLayout orders them.
  virtual std::vector<Matrix<float>> keys(const Batch& batch, std::span<const Reading> readings) = 0;
};

/// `compute`: f32, or bf16 for weights and activations of 16 bits.
///
/// Errors  Error when this program was built without CUDA, or the machine has no GPU that it can use
std::unique_ptr<GpuPass> gpu_pass(const Decoder<float>& decoder, const AnyMask& mask, const AnyCompute& compute);

}  // namespace embedpool::program
