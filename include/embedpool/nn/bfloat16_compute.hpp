#pragma once
#include "embedpool/kernels/bfloat16/gemm.hpp"
#include "embedpool/nn/compute.hpp"

namespace embedpool {

/// Products of bfloat16 values, summed in float: for machines with vdpbf16ps, which does two steps of a sum at once.
/// Both sides are rounded to 8 significant bits, weights from whatever format they are stored in.
struct Bfloat16Compute {
  template <Executor E>
  RoundedRows prepare(Rows<const float> x, E& executor) const {
    return rounded_rows(x, executor);
  }
  template <class Epilogue, Executor E>
  void product(const RoundedRows& x, const WeightView& w, const Epilogue& epilogue, E& executor) const {
    bfloat16_gemm_nt(x.rows, w, epilogue, executor);
  }
  template <class Activation, Executor E>
  void gated(const RoundedRows& x, const WeightView& gate, const WeightView& up, Rows<float> y, E& executor) const {
    bfloat16_gemm_nt_gated<Activation>(x.rows, gate, up, y, executor);
  }
};

static_assert(ComputePolicy<Bfloat16Compute, float>);

}  // namespace embedpool
