#pragma once
#include <cassert>
#include <cmath>

#include "embedpool/core/thread_scratch.hpp"
#include "embedpool/kernels/gemm.hpp"
#include "embedpool/kernels/int8/int8_tile.hpp"

namespace embedpool {

namespace scalar {

/// a * b + c, rounded as simd::fma rounds it.
inline float multiply_add(float a, float b, float c) noexcept {
#if defined(__FMA__) || defined(__AVX512F__) || defined(__aarch64__)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// The definition: C[i][n] = sum over blocks b of s_a dot(q_a, q_w) s_w + (s_a sum q_a) o_w, where block b of row i of
/// A is s_a q_a and that of row n of W is s_w q_w + o_w. Dots are exact.
inline void int8_gemm_nt(const QuantizedRows& a, const WeightView& w, Rows<float> c) {
  const bool has_offset = int8::integer_format(w.format).has_offset;
  for (Index i = 0; i < a.rows(); ++i)
    for (Index n = 0; n < w.rows; ++n) {
      float sum = 0;
      for (Index b = 0; b < a.blocks().cols; ++b) {
        const int8::IntegerBlock weights = int8::read_integers(w, n, b);
        const int8::ActivationBlock& activations = a.blocks()(i, b);
        const std::int8_t* q = a.values().row_data(i) + b * int8::block_values;
        std::int32_t dot = 0;
        for (Index k = 0; k < int8::block_values; ++k) dot += std::int32_t(q[k]) * std::int32_t(weights.q[k]);
        sum = multiply_add(static_cast<float>(dot) * activations.scale, weights.scale, sum);
        if (has_offset) sum = multiply_add(activations.scaled_sum, weights.offset, sum);
      }
      c(i, n) = sum;
    }
}

}  // namespace scalar

namespace simd {

/// Scratch of one worker, kept between calls: the records of one group of panels, and C so far.
struct Int8Scratch {
  AlignedBuffer<std::byte> records;
  AlignedBuffer<float> sums;
};

/// Rows [first, first + rows) of C = epilogue(A panels) for the panels `panel_range`.
template <class Panels, class Epilogue>
void int8_gemm_job(const Int8Rows& a, const Panels& panels, Index columns, const Epilogue& epilogue,
                   const GemmPlan& plan, Interval panel_range, Index first, Index rows, Index panels_ahead) {
  constexpr Index width = Tile<float>::width, n = lanes<float>;
  thread_local Int8Scratch scratch;
  const int8::IntegerFormat kind = panels.kind();
  const Index record = Int8Record(kind.bits).bytes(), count = panel_range.size();
  const Index blocks = panels.depth() / int8::block_values;
  const Index most = plan.block / int8::block_values;
  std::byte* records = scratch.records.reserve(most * record * plan.group);
  const bool is_split = most < blocks;
  float* sums = scratch.sums.reserve((is_split ? rows * count : GemmPlan::row_chunk + 2) * width);
  WeightsAhead ahead = panels.ahead(panel_range.begin + panels_ahead, plan.group,
                                    count * blocks * ((rows + int8_tile_rows - 1) / int8_tile_rows));
  for (Index b = 0; b < blocks; b += most) {
    const Index now = std::min(most, blocks - b);
    for (Index p = 0; p < count; ++p) panels.fetch(panel_range.begin + p, b, now, records + p * now * record);
    for (Index i = 0, chunk; i < rows; i += chunk) {
      const Index left = rows - i;
      chunk = left <= GemmPlan::row_chunk + 2 ? left : GemmPlan::row_chunk;  // leaves no one or two rows
      const Int8Rows part = a.part(first + i, chunk, b, now);
      for (Index p = 0; p < count; ++p) {
        float* out = is_split ? sums + (p * rows + i) * width : sums;
        if (b == 0) std::fill_n(out, chunk * width, 0.0f);
        multiply_int8_panel(part, records + p * now * record, kind, out, ahead);
        if (b + now < blocks) continue;
        const Index column = (panel_range.begin + p) * epilogue.panel_columns();
        const Index valid = std::min(epilogue.panel_columns(), columns - column);
        for (Index r = 0; r < chunk; ++r) {
          Vector<float> row[Tile<float>::vectors];
          for (int v = 0; v < Tile<float>::vectors; ++v) row[v] = Vector<float>::load_aligned(out + r * width + v * n);
          epilogue.store(first + i + r, column, row, valid);
        }
      }
    }
  }
}

/// C = epilogue(A panels). Groups of panels are the jobs, cut as those of gemm_panels.
template <class Panels, class Epilogue, Executor E>
void int8_gemm_panels(const QuantizedRows& a, const Panels& panels, Index columns, const Epilogue& epilogue,
                      E& executor) {
  GemmPlan plan = GemmPlan::make<float>(a.rows(), panels, executor.workers());
  if constexpr (requires { Epilogue::needs_all_rows; }) plan.split = 0;
  // Records of integers are a third of the panel that floats would make.
  plan.block = std::min(panels.depth(), 4096 * 64 / (plan.group * Tile<float>::width));
  const Index panels_ahead = executor.workers() * plan.group;  // those that a worker will likely be given next
  const Int8Rows rows_a{a.values(), a.blocks()};
  const Index whole = plan.groups - plan.split;
  executor.parallel_for(whole + plan.split * plan.pieces, [&](Index job, Index) {
    const Index begin = (job < whole ? job : whole + (job - whole) / plan.pieces) * plan.group;
    const Index first = job < whole ? 0 : (job - whole) % plan.pieces * plan.piece_rows;
    const Index rows = job < whole ? a.rows() : std::min(plan.piece_rows, a.rows() - first);
    if (rows <= 0) return;
    int8_gemm_job(rows_a, panels, columns, epilogue, plan, {begin, std::min(begin + plan.group, panels.count())}, first,
                  rows, panels_ahead);
  });
}

}  // namespace simd

/// C = epilogue(A W^T) with integers of 8 bits on both sides: the weights' own, and A quantised by blocks of 32 values.
///
///   C[i][n] = sum over blocks of s_a dot(q_a, q_w) s_w + (s_a sum q_a) o_w
///
/// Shapes    a [M, K], w [N, K]; the epilogue (StoreTo, StoreBias, AddTo) holds C [M, N], which must not overlap a
/// Requires  int8_supports(w.format)
/// Order     each element is one chain in rising k: bit-identical for any M, position and executor, and the same bits
///           as scalar::int8_gemm_nt
/// Errors    a row of A with a value that is not finite gives a row of NaN
template <class Epilogue, Executor E>
void int8_gemm_nt(const QuantizedRows& a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  assert(int8_supports(w.format) && a.cols() == w.cols);
  simd::int8_gemm_panels(a, simd::Int8MatrixPanels{w}, w.rows, epilogue, executor);
}
template <class Epilogue, Executor E>
void int8_gemm_nt(Rows<const float> a, const WeightView& w, const Epilogue& epilogue, E& executor) {
  const ThreadScratch<QuantizedRows> quantized;
  quantized->assign(a, executor);
  int8_gemm_nt(*quantized, w, epilogue, executor);
}

/// out = act(A Wg^T) .* (A Wu^T), both products as in int8_gemm_nt.
///
/// Shapes  a [M, K], gate and up [N, K], out [M, N]
template <class Activation, Executor E>
void int8_gemm_nt_gated(const QuantizedRows& a, const WeightView& gate, const WeightView& up, Rows<float> out,
                        E& executor) {
  assert(int8_supports(gate.format) && int8_supports(up.format));
  assert(a.cols() == gate.cols && a.cols() == up.cols && gate.rows == up.rows);
  simd::int8_gemm_panels(a, simd::Int8GatedPanels{gate, up}, gate.rows, StoreGated<Activation, float>{out}, executor);
}
template <class Activation, Executor E>
void int8_gemm_nt_gated(Rows<const float> a, const WeightView& gate, const WeightView& up, Rows<float> out,
                        E& executor) {
  const ThreadScratch<QuantizedRows> quantized;
  quantized->assign(a, executor);
  int8_gemm_nt_gated<Activation>(*quantized, gate, up, out, executor);
}

}  // namespace embedpool
