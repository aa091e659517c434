#pragma once
#include <string>

#include "embedpool/testing/embed_states.hpp"
#include "embedpool/testing/random_params.hpp"

namespace embedpool::testing {

/// A reader that says keys_are_rows(), or inherits it, gives the rows of reads(shape) unchanged: its keys may be taken from
/// there without calling `read`, so a difference would show in some batches only.
template <Real S, class Pooling>
std::string keys_are_rows_where_said(const Pooling& pooling, const ProblemSize& size = {}) {
  if (!keys_are_rows(pooling.tokens)) return "";
  const auto states = HiddenStates<S>::random(example_texts(), 0, size.width, size.seed);
  const Segments& segments = states.segments();
  for (Index b = 0; b < segments.size(); ++b) {
    const TextStates<S> text = states.layer(0).text(b);
    const Interval read = pooling.tokens.reads(text.shape());
    const std::string name = "text " + std::to_string(b);
    if (pooling.tokens.keys(text.shape()) != read.size()) return name + " has another number of keys than of rows read";
    Matrix<S> keys(read.size(), size.width), rows(read.size(), size.width);
    pooling.tokens.read(text, rows_of(keys));
    for (Index i = 0; i < read.size(); ++i) {
      const auto row = text.row(read.begin + i);
      std::copy(row.begin(), row.end(), rows.row(i).data());
    }
    if (!detail::same_bits<S>(keys, rows)) return name + " has keys that are not its rows";
  }
  return "";
}

}  // namespace embedpool::testing
