#pragma once
#include <vector>

#include "embedpool/kernels/column_sum.hpp"
#include "embedpool/kernels/gemm.hpp"
#include "embedpool/kernels/gemm_tn.hpp"
#include "embedpool/nn/dropout.hpp"
#include "embedpool/nn/lora.hpp"

namespace embedpool {

/// One LoRA pair on its way through training. Its gradient has the shapes of the pair, and no scale of its own.
template <Real S>
struct LoraTerm {
  const LoraPair<S>* pair = nullptr;
  LoraPair<S>* gradient = nullptr;  ///< null: none is wanted
  Index place = 0;                  ///< number of the pair in the model: it has dropout coins of its own
};

/// A linear map in training: y = x W^T + b + sum over its pairs of s (drop(x) A^T) B^T. The base W may rest in any
/// format; it has a gradient only where it is trained.
template <Real S>
struct TrainedLinear {
  WeightView weight{};                    ///< [out, in]
  const std::vector<S>* bias = nullptr;   ///< [out] or empty
  std::vector<LoraTerm<S>> lora{};        ///< in the order in which adapters were stacked; the order of the sum
  Matrix<S>* weight_gradient = nullptr;   ///< [out, in] or null
  Matrix<S>* bias_gradient = nullptr;     ///< [1, out] or null
};

/// s drop(x) A^T of each pair, [N, r], kept from forward for the gradient of B.
template <Real S>
using LoraProducts = std::vector<AlignedBuffer<S>>;

/// Memory that one map after another uses.
template <Real S>
struct LoraScratch {
  AlignedBuffer<S> dropped{};     ///< [N, in] drop(x), or the gradient behind it
  std::vector<AlignedBuffer<S>> dproducts{};  ///< [N, r] of each pair
  AlignedBuffer<S> transposed{};  ///< [r, out] gradient of B, on its side
};

namespace detail {
/// drop(x) in scratch memory, or x itself without dropout.
template <Real S, Executor E>
Rows<const S> dropped(Rows<const S> x, const Dropout& dropout, Index place, LoraScratch<S>& scratch, E& executor) {
  if (!dropout.active()) return x;
  const Rows<S> out = scratch.dropped.rows(x.rows, x.cols);
  dropout.forward(place, x, out, executor);
  return out;
}
}  // namespace detail

/// kept = s drop(x) A^T for each pair of the map.
template <Real S, Executor E>
void lora_products(Rows<const S> x, const TrainedLinear<S>& map, const Dropout& dropout, LoraProducts<S>& kept,
                   LoraScratch<S>& scratch, E& executor) {
  kept.resize(map.lora.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const LoraPair<S>& pair = *map.lora[i].pair;
    const Rows<const S> input = detail::dropped(x, dropout, map.lora[i].place, scratch, executor);
    gemm_nt(input, weight_view(rows_of(pair.a)), StoreScaled<S>{kept[i].rows(x.rows, pair.a.rows()), pair.scale}, executor);
  }
}

namespace detail {
/// (s drop(x) A^T) B^T of each pair, as terms of the product with W: they cost no pass over y of their own.
template <Real S, Executor E>
std::vector<LowRankTerm<S>> lora_terms(Rows<const S> x, const TrainedLinear<S>& map, const Dropout& dropout,
                                       LoraProducts<S>& kept, LoraScratch<S>& scratch, E& executor) {
  lora_products(x, map, dropout, kept, scratch, executor);
  std::vector<LowRankTerm<S>> terms;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const LoraPair<S>& pair = *map.lora[i].pair;
    terms.push_back({kept[i].rows(x.rows, pair.a.rows()), weight_view(rows_of(pair.b))});
  }
  return terms;
}
}  // namespace detail

/// y = the map of x.
///
/// Shapes  x [N, in], y [N, out]
template <Real S, Executor E>
void linear_training_forward(Rows<const S> x, const TrainedLinear<S>& map, const Dropout& dropout, Rows<S> y,
                             LoraProducts<S>& kept, LoraScratch<S>& scratch, E& executor) {
  const auto terms = detail::lora_terms(x, map, dropout, kept, scratch, executor);
  if (map.bias == nullptr || map.bias->empty())
    gemm_nt(x, map.weight, std::span(terms), StoreTo<S>{y}, executor);
  else
    gemm_nt(x, map.weight, std::span(terms), StoreBias<S>{y, map.bias->data()}, executor);
}

/// y += the map of x: the last map of a residual branch.
template <Real S, Executor E>
void linear_training_add(Rows<const S> x, const TrainedLinear<S>& map, const Dropout& dropout, Rows<S> y,
                         LoraProducts<S>& kept, LoraScratch<S>& scratch, E& executor) {
  const auto terms = detail::lora_terms(x, map, dropout, kept, scratch, executor);
  gemm_nt(x, map.weight, std::span(terms), AddTo<S>{y}, executor);
  if (map.bias != nullptr && !map.bias->empty())
    for_each_row(y.rows, executor, [&](Index i) {
      for (Index j = 0; j < y.cols; ++j) y(i, j) += (*map.bias)[static_cast<std::size_t>(j)];
    });
}

/// Whether the gradient of a map's input replaces what is there or is added to it.
enum class Write { replace, add };

/// The way back: dx = (or +=) dy W + sum over pairs of drop'(s (dy B) A), and the wanted gradients of W, b, A and B,
/// which are added to:  dW += dy^T x,  db += sum dy,  dA += (s dy B)^T drop(x),  dB += dy^T (s drop(x) A^T).
///
/// Shapes  x [N, in] as forward saw it, dy [N, out], dx [N, in], or without data where no gradient is wanted
/// Order   sums over tokens rise; the result does not depend on the executor
template <Real S, Executor E>
void linear_training_backward(Rows<const S> x, Rows<const S> dy, const TrainedLinear<S>& map, const Dropout& dropout,
                              LoraProducts<S>& kept, Rows<S> dx, Write write, LoraScratch<S>& scratch, E& executor) {
  const bool wants_dx = dx.data != nullptr;
  if (map.weight_gradient != nullptr) gemm_tn(dy, x, rows_of(*map.weight_gradient), executor);
  if (map.bias_gradient != nullptr) column_sum(dy, map.bias_gradient->data(), executor);

  scratch.dproducts.resize(std::max(scratch.dproducts.size(), map.lora.size()));
  std::vector<LowRankTerm<S>> terms;  // (s dy B) A
  for (std::size_t i = 0; i < map.lora.size(); ++i) {
    const auto& [pair, gradient, place] = map.lora[i];
    const Index rank = pair->a.rows();
    const Rows<S> dproduct = scratch.dproducts[i].rows(x.rows, rank);  // [N, r]
    gemm_nn(dy, weight_view(rows_of(pair->b)), StoreScaled<S>{dproduct, pair->scale}, executor);
    terms.push_back({dproduct, weight_view(rows_of(pair->a))});
    if (gradient == nullptr) continue;
    gemm_tn(Rows<const S>(dproduct), detail::dropped(x, dropout, place, scratch, executor), rows_of(gradient->a), executor);
    // dB^T = (s drop(x) A^T)^T dy, so that whole registers run along the long side.
    const Rows<S> sideways = scratch.transposed.rows(rank, dy.cols);
    std::fill_n(sideways.data, rank * dy.cols, S(0));
    gemm_tn(Rows<const S>(kept[i].rows(x.rows, rank)), dy, sideways, executor);
    gradient->b += as_eigen(sideways).transpose();
  }
  if (!wants_dx) return;

  const auto product = [&](std::span<const LowRankTerm<S>> with) {
    if (write == Write::replace)
      gemm_nn(dy, map.weight, with, StoreTo<S>{dx}, executor);
    else
      gemm_nn(dy, map.weight, with, AddTo<S>{dx}, executor);
  };
  if (!dropout.active()) return product(terms);
  product({});
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const Rows<S> behind = scratch.dropped.rows(x.rows, x.cols);
    gemm_nn(terms[i].a, terms[i].w, StoreTo<S>{behind}, executor);
    dropout.backward(map.lora[i].place, Rows<const S>(behind), dx, executor);
  }
}

}  // namespace embedpool
