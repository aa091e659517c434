#pragma once
#include "embedpool/kernels/int8/int8_gemm.hpp"
#include "embedpool/nn/compute.hpp"

namespace embedpool {

/// Products of integers of 8 bits where the weights are stored as such or shorter (int8_supports), in float elsewhere.
/// Activations are quantised by blocks of 32 values as they come; weights keep the integers of their file.
struct Int8Compute {
  /// The rows as they are for weights that have no integers, and quantised when their width allows it.
  struct Input {
    Rows<const float> rows;
    ThreadScratch<QuantizedRows> quantized;
  };

  template <Executor E>
  Input prepare(Rows<const float> x, E& executor) const {
    ThreadScratch<QuantizedRows> quantized;
    if (x.cols % int8::block_values == 0) quantized->assign(x, executor);
    return {x, std::move(quantized)};
  }
  template <class Epilogue, Executor E>
  void product(const Input& x, const WeightView& w, const Epilogue& epilogue, E& executor) const {
    if (int8_supports(w.format))
      int8_gemm_nt(*x.quantized, w, epilogue, executor);
    else
      gemm_nt(x.rows, w, epilogue, executor);
  }
  template <class Activation, Executor E>
  void gated(const Input& x, const WeightView& gate, const WeightView& up, Rows<float> y, E& executor) const {
    if (int8_supports(gate.format) && int8_supports(up.format))
      int8_gemm_nt_gated<Activation>(*x.quantized, gate, up, y, executor);
    else
      gemm_nt_gated<Activation>(x.rows, gate, up, y, executor);
  }
};

static_assert(ComputePolicy<Int8Compute, float>);

}  // namespace embedpool
