#pragma once
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "embedpool/pooling/padded.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "embedpool/testing/hidden_states.hpp"
#include "embedpool/testing/random_params.hpp"
#include "embedpool/testing/shuffled_executor.hpp"

/// What every pooling promises, as checks for any test framework: each returns what is wrong, or "" when the promise
/// holds. Write `CHECK(padding_is_never_read<float>(pooling) == "")` for your own readers and heads.
namespace embedpool::testing {

/// Embeddings of states that lie in memory.
template <Real S, Element T, class Pooling>
Matrix<S> embed(const Pooling& pooling, const typename Pooling::template Params<S>& params,
                const HiddenStates<T>& states, const Calibration<S>* calibration = nullptr) {
  const auto layers = states.every_layer();
  return pooling.template run<S, T>(params, states.segments(), std::span<const LayerStates<T>>(layers), calibration);
}

namespace detail {
/// Bit for bit: -0 differs from 0, and a NaN equals itself.
template <Real S>
bool same_bits(const Matrix<S>& a, const Matrix<S>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::equal(reinterpret_cast<const unsigned char*>(a.data()),
                    reinterpret_cast<const unsigned char*>(a.data() + a.size()),
                    reinterpret_cast<const unsigned char*>(b.data()));
}
}  // namespace detail

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

/// Padding left, right and in holes, full of NaN, changes no bit, whatever the strides of the buffer.
template <Real S, Element T = S, class Pooling>
std::string padding_is_never_read(const Pooling& pooling, const ProblemSize& size = {}) {
  const auto params = random_params<S>(pooling, size);
  const auto bare = HiddenStates<T>::random(example_texts(), size.layers, size.width, size.seed);
  const Segments& texts = bare.segments();
  std::vector<Index> prompts;
  Segments shapes;  // a padded batch knows prompts, and neither appended tokens nor second copies
  for (Index b = 0; b < texts.size(); ++b) {
    const Index prompt = texts.shape(b).text.begin;
    prompts.push_back(prompt);
    shapes.add({texts.shape(b).tokens, {prompt, texts.shape(b).tokens}, prompt});
  }
  HiddenStates<T> states(shapes, size.layers, size.width);
  for (Index k = 0; k <= size.layers; ++k)
    std::copy_n(bare.rows(k).data, shapes.rows() * size.width, states.rows(k).data);
  const Matrix<S> expected = embed<S>(pooling, params, states);

  enum class Side { left, right, both };
  const Index columns = 2 * shapes.longest() + 4;
  for (const Index gap : {Index(0), Index(3)})
    for (const Side side : {Side::left, Side::right, Side::both})
      for (const Index step : {Index(1), Index(2)}) {  // 2: a hole behind every token
        const PaddedLayout layout{size.width, size.width + gap, columns * (size.width + gap) + gap};
        const auto column = [&](Index b, Index t) {
          const Index length = step * (shapes.shape(b).tokens - 1) + 1;
          const Index first = side == Side::right ? 0 : side == Side::left ? columns - length : 2;
          return first + step * t;
        };
        std::vector<signed char> mask(static_cast<std::size_t>(shapes.size() * columns), 0);
        for (Index b = 0; b < shapes.size(); ++b)
          for (Index t = 0; t < shapes.shape(b).tokens; ++t)
            mask[static_cast<std::size_t>(b * columns + column(b, t))] = 1;
        const PaddedBatch padded(Rows<const signed char>(mask.data(), shapes.size(), columns), layout, prompts);
        std::vector<T> buffer(static_cast<std::size_t>(shapes.size() * layout.text_stride),
                              element<T>(std::numeric_limits<double>::quiet_NaN()));
        auto stream = pooling.template stream<S>(params, padded.segments(), size.layers, size.width);
        for (Index k = 0; k <= size.layers; ++k) {
          if (!stream.wants(k)) continue;
          for (Index b = 0; b < shapes.size(); ++b)
            for (Index t = 0; t < shapes.shape(b).tokens; ++t)
              std::copy_n(states.rows(k).row_data(shapes.offset(b) + t), size.width,
                          buffer.data() + b * layout.text_stride + column(b, t) * layout.row_stride);
          stream.push(k, padded.layer(buffer.data()));
        }
        if (!detail::same_bits<S>(stream.finish(), expected))
          return std::string(side == Side::left ? "left" : side == Side::right ? "right" : "two-sided") +
                 " padding with a token in every column of " + std::to_string(step) + " and " + std::to_string(gap) +
                 " values between rows changes the embedding";
      }
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
    Matrix<S> rows(pruned.rows(), size.width);
    for (Index b = 0; b < segments.size(); ++b)
      for (Index i = 0; i < pruned.held(b).size(); ++i)
        std::copy_n(states.rows(k).row_data(segments.offset(b) + pruned.held(b).begin + i), size.width,
                    rows.data() + (pruned.first_row(b) + i) * size.width);
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
  Pooling::Head::for_each(params, [&](auto&& name, auto&&) { names.push_back("parameter " + std::string(name)); });
  const auto expected = gradients_on(0), got = gradients_on(1);
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (!(relative_error(expected[i], got[i]) < 1e-9))  // taking off 1 leaves errors of 1e-16, over 1e-3 or more
      return "backward of the head overwrites the gradient of " + names[i];
  return "";
}
}  // namespace detail

/// The gradients of parameters and of every layer's states agree with central differences, with and without
/// calibration, and are added to what is there.
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
  return detail::head_adds_gradients(pooling, params, size);
}

}  // namespace embedpool::testing
