#pragma once
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/testing/embed_states.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/random_params.hpp"

namespace embedpool::testing {

namespace detail {
/// Whether the head's own backward leaves what stands in its gradients and adds to it: a stream gives each of few texts
/// gradients of its own, where a head that overwrites them would look right.
template <class Pooling>
std::string head_adds_gradients(const Pooling& pooling, const typename Pooling::template Params<double>& params,
                                const ProblemSize& size) {
  const auto& head = pooling.head;
  std::vector<Index> kinds(static_cast<std::size_t>(pooling.slots(size.layers)));
  std::iota(kinds.begin(), kinds.end(), Index(0));
  const Index keys = static_cast<Index>(kinds.size());
  std::mt19937 generator(size.seed + 3);
  std::normal_distribution<double> normal;
  const auto random = [&] { return normal(generator); };
  const Matrix<double> rows = Matrix<double>::NullaryExpr(keys, size.width, random);
  const RowVector<double> de = RowVector<double>::NullaryExpr(pooling.output_width(size.width), random);
  const auto gradients_on = [&](double there) {
    std::vector<Matrix<double>> found{Matrix<double>::Constant(keys, size.width, there)};
    auto dparams = params;
    Pooling::Head::for_each(dparams, [&](auto&&, auto& tensor) { tensor.setConstant(there); });
    typename Pooling::Head::template Cache<double> cache;
    const Keys<double> text{rows_of(rows), kinds};
    head.forward(params, text, cache);
    head.backward(params, text, cache, de, dparams, rows_of(found.front()));
    Pooling::Head::for_each(dparams, [&](auto&&, auto& tensor) { found.push_back(tensor); });
    for (Matrix<double>& gradient : found) gradient.array() -= there;
    return found;
  };
  std::vector<std::string> names{"the keys"};
  auto named = params;
  Pooling::Head::for_each(named, [&](auto&& name, auto&&) { names.push_back("parameter " + std::string(name)); });
  const auto expected = gradients_on(0), got = gradients_on(1);
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!(relative_error(expected[i], got[i]) < 1e-9))  // taking off 1 leaves errors of 1e-16, over 1e-3 or more
      return "backward of the head overwrites the gradient of " + names[i];
  return "";
}
/// Of one text that is longer than any tile or window: the gradient of every layer's states in a random direction, which no
/// token can be missing from.
template <class Pooling>
std::string backward_of_a_long_text(const Pooling& pooling, const typename Pooling::template Params<double>& params,
                                    const ProblemSize& size, double tolerance) {
  Segments segments;
  segments.add({150, {20, 145}, 70, 20});
  auto states = HiddenStates<double>::random(segments, size.layers, size.width, size.seed + 4);
  std::mt19937 generator(size.seed + 5);
  std::normal_distribution<double> normal;
  const auto random = [&] { return normal(generator); };
  const Matrix<double> weights = Matrix<double>::NullaryExpr(1, pooling.output_width(size.width), random);
  SerialExecutor executor;
  auto stream = pooling.template stream<double>(params, segments, size.layers, size.width, executor, nullptr, KeepForBackward::yes);
  for (Index k = 0; k <= size.layers; ++k)
    if (stream.wants(k)) stream.push(k, states.layer(k));
  stream.finish();
  auto dparams = params;
  stream.backward(rows_of(weights), dparams, executor);
  for (Index k = 0; k <= size.layers; ++k) {
    if (!stream.wants(k)) continue;
    Matrix<double> dstates = Matrix<double>::Zero(segments.rows(), size.width);
    stream.backward_layer(k, states.layer(k), rows_of(dstates), executor);
    const Matrix<double> direction = Matrix<double>::NullaryExpr(segments.rows(), size.width, random), start = as_eigen(states.rows(k));
    const auto loss_at = [&](double step) {
      as_eigen(states.rows(k)) = start + step * direction;
      return embed<double>(pooling, params, states).cwiseProduct(weights).sum();
    };
    constexpr double step = 1e-6;
    const double slope = (loss_at(step) - loss_at(-step)) / (2 * step);
    loss_at(0);
    const double error = std::abs(slope - dstates.cwiseProduct(direction).sum()) / std::max(dstates.norm(), 1e-3);
    if (!(error < tolerance))
      return "states of layer " + std::to_string(k) + " of a text of 150 tokens: relative error " + std::to_string(error);
  }
  return "";
}
}  // namespace detail

/// The gradients of parameters and of every layer's states agree with central differences, with and without
/// calibration, are added to what is there, and are the same where a backbone holds the rows alone that are read. Texts of
/// up to 12 tokens are gone through value by value, one of 150 along a line.
template <class Pooling>
std::string backward_agrees_with_differences(const Pooling& pooling, const ProblemSize& size = {},
                                             double tolerance = 1e-6) {
  auto params = random_params<double>(pooling, size);
  const auto calibration = random_calibration<double>(pooling, size);
  auto states = HiddenStates<double>::random(example_texts(), size.layers, size.width, size.seed);
  const Segments& segments = states.segments();
  std::mt19937 generator(size.seed + 2);
  std::normal_distribution<double> normal;
  Matrix<double> weights(segments.size(), pooling.output_width(size.width));
  for (Index i = 0; i < weights.size(); ++i) weights.data()[i] = normal(generator);

  for (const Calibration<double>* used : {static_cast<const Calibration<double>*>(nullptr), &calibration}) {
    const auto loss = [&] { return embed<double>(pooling, params, states, used).cwiseProduct(weights).sum(); };
    SerialExecutor executor;
    auto stream = pooling.template stream<double>(params, segments, size.layers, size.width, executor, used,
                                                  KeepForBackward::yes);
    for (Index k = 0; k <= size.layers; ++k)
      if (stream.wants(k)) stream.push(k, states.layer(k));
    stream.finish();
    // Start from one everywhere: backward adds.
    auto dparams = params;
    Pooling::Head::for_each(dparams, [](auto&&, auto& tensor) { tensor.setOnes(); });
    stream.backward(rows_of(std::as_const(weights)), dparams, executor);

    const std::string with = used ? " with calibration" : "";
    for (Index k = 0; k <= size.layers; ++k) {
      if (!stream.wants(k)) continue;
      Matrix<double> dstates = Matrix<double>::Ones(segments.rows(), size.width);
      stream.backward_layer(k, states.layer(k), rows_of(dstates), executor);
      dstates.array() -= 1;
      const double error = relative_error(dstates, numeric_gradient(states.rows(k), loss));
      if (!(error < tolerance))
        return "states of layer " + std::to_string(k) + with + ": relative error " + std::to_string(error);
      // A backbone may hold the rows alone that are read.
      const RowSelection pruned(segments, [&](const TextShape& shape) { return stream.reads(shape); });
      const Matrix<double> held = detail::rows_held(segments, pruned, states.layer(k).buffer);
      // Room behind them: a reader that takes t for t - held().begin shall be told so, and not write anywhere.
      Matrix<double> dheld = Matrix<double>::Zero(held.rows() + segments.longest(), held.cols());
      stream.backward_layer(k, LayerStates<double>{rows_of(held), &segments, &pruned, {}},
                            rows_of(dheld).middle_rows(0, held.rows()), executor);
      if (relative_error(dheld.topRows(held.rows()), detail::rows_held(segments, pruned, rows_of(std::as_const(dstates)))) > 1e-12)
        return "states of layer " + std::to_string(k) + with + ": backward is another where the rows that are read are held alone";
    }
    std::vector<Matrix<double>> gradients;
    std::vector<std::string> names;
    Pooling::Head::for_each(dparams, [&](auto&& name, auto& tensor) {
      names.emplace_back(name);
      gradients.emplace_back(tensor.array() - 1);
    });
    std::size_t i = 0;
    std::string wrong;
    Pooling::Head::for_each(params, [&](auto&&, auto& tensor) {
      const double error = relative_error(gradients[i], numeric_gradient(tensor, loss));
      if (!(error < tolerance) && wrong.empty())
        wrong = "parameter " + names[i] + with + ": relative error " + std::to_string(error);
      ++i;
    });
    if (!wrong.empty()) return wrong;
  }
  if (const std::string wrong = detail::backward_of_a_long_text(pooling, params, size, std::max(tolerance, 1e-7)); !wrong.empty())
    return wrong;
  return detail::head_adds_gradients(pooling, params, size);
}

}  // namespace embedpool::testing
