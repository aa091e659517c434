#pragma once
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/testing/embed_states.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/random_params.hpp"
#include "embedpool/testing/shuffled_executor.hpp"

namespace embedpool::testing {

/// A text has the same embedding to the bit alone, in a batch, and at any position of it.
template <Real S, Element T = S, class Pooling>
std::string batch_does_not_matter(const Pooling& pooling, const ProblemSize& size = {}) {
  const auto params = random_params<S>(pooling, size);
  const auto states = HiddenStates<T>::random(example_texts(), size.layers, size.width, size.seed);
  const Matrix<S> together = embed<S>(pooling, params, states);
  std::vector<Index> reversed(static_cast<std::size_t>(together.rows()));
  std::iota(reversed.rbegin(), reversed.rend(), Index(0));
  const Matrix<S> backwards = embed<S>(pooling, params, states.batch_of(reversed));
  for (Index b = 0; b < together.rows(); ++b) {
    const Matrix<S> alone = embed<S>(pooling, params, states.batch_of({b}));
    const std::string text = "text " + std::to_string(b);
    if (!detail::same_bits<S>(alone, together.row(b))) return text + " differs alone and in a batch";
    if (!detail::same_bits<S>(alone, backwards.row(together.rows() - 1 - b)))
      return text + " differs at another position of the batch";
  }
  return "";
}

/// Who runs the jobs in which order changes no bit, forward or backward.
template <Real S, class Pooling>
std::string workers_do_not_matter(const Pooling& pooling, const ProblemSize& size = {}) {
  const auto params = random_params<S>(pooling, size);
  const auto states = HiddenStates<S>::random(example_texts(), size.layers, size.width, size.seed);
  auto all_of_it = [&](auto& executor) {
    std::vector<Matrix<S>> results;
    auto stream = pooling.template stream<S>(params, states.segments(), size.layers, size.width, executor, nullptr,
                                             KeepForBackward::yes);
    for (Index k = 0; k <= size.layers; ++k)
      if (stream.wants(k)) stream.push(k, states.layer(k));
    results.push_back(stream.finish(executor));
    auto dparams = random_params<S>(pooling, size);
    const Matrix<S> de = results.front();
    stream.backward(rows_of(de), dparams, executor);
    for (Index k = 0; k <= size.layers; ++k) {
      if (!stream.wants(k)) continue;
      results.push_back(Matrix<S>::Zero(states.segments().rows(), size.width));
      stream.backward_layer(k, states.layer(k), rows_of(results.back()), executor);
    }
    Pooling::Head::for_each(dparams, [&](auto&&, auto& tensor) { results.push_back(tensor); });
    return results;
  };
  SerialExecutor serial;
  ShuffledExecutor shuffled(3, size.seed);
  const auto expected = all_of_it(serial);
  const auto got = all_of_it(shuffled);
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!detail::same_bits<S>(expected[i], got[i]))
      return i == 0 ? "embeddings depend on who computes them" : "gradients depend on who computes them";
  return "";
}

/// Streaming layers in any order, the last one pruned to the tokens that are read, gives what the policies give when
/// they are called one after the other on stored states.
template <Real S, class Pooling>
std::string streaming_equals_storing(const Pooling& pooling, const ProblemSize& size = {}) {
  const auto params = random_params<S>(pooling, size);
  const auto calibration = random_calibration<S>(pooling, size);
  const auto states = HiddenStates<S>::random(example_texts(), size.layers, size.width, size.seed);
  const Segments& segments = states.segments();

  auto stream = pooling.template stream<S>(params, segments, size.layers, size.width, &calibration);
  const RowSelection pruned(segments, [&](const TextShape& shape) { return stream.reads(shape); });
  for (Index k = size.layers; k >= 0; --k) {
    if (!stream.wants(k)) continue;
    Matrix<S> rows = detail::rows_held(segments, pruned, states.layer(k).buffer);
    stream.push(k, LayerStates<S>{rows_of(std::as_const(rows)), &segments, &pruned, {}});
    rows.setConstant(std::numeric_limits<S>::quiet_NaN());  // engines reuse their buffers
  }
  const Matrix<S> streamed = stream.finish();

  for (Index b = 0; b < segments.size(); ++b) {
    const TextShape& shape = segments.shape(b);
    const Index keys = pooling.tokens.keys(shape);
    Matrix<S> rows(pooling.layers.count(size.layers) * keys, size.width);
    std::vector<Index> kinds(static_cast<std::size_t>(rows.rows()));
    for (Index k = 0; k <= size.layers; ++k) {
      if (!pooling.layers.wants(k, size.layers)) continue;
      const Index first = pooling.layers.slot(k, size.layers) * keys;
      pooling.tokens.read(states.layer(k).text(b), rows_of(rows).middle_rows(first, keys));
      for (Index i = 0; i < keys; ++i)
        kinds[static_cast<std::size_t>(first + i)] =
            pooling.layers.slot(k, size.layers) * pooling.tokens.slots() + pooling.tokens.slot(i, shape);
    }
    calibration.forward(kinds, rows_of(rows));
    typename Pooling::Head::template Cache<S> cache;
    const RowVector<S> stored = pooling.head.forward(params, Keys<S>{rows_of(std::as_const(rows)), kinds}, cache);
    // Rows of a stored matrix lie at other addresses than those of a stream, and vectorised sums may be split
    // differently there: a few roundings, not bits.
    const double tolerance = 64 * static_cast<double>(std::numeric_limits<S>::epsilon());
    const double error = relative_error(stored.template cast<double>(), streamed.row(b).template cast<double>());
    if (!(error < tolerance)) return "text " + std::to_string(b) + ": relative error " + std::to_string(error);
  }
  return "";
}

}  // namespace embedpool::testing
