#pragma once
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "embedpool/pooling/padded.hpp"
#include "embedpool/testing/embed_states.hpp"
#include "embedpool/testing/random_params.hpp"

namespace embedpool::testing {

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

}  // namespace embedpool::testing
