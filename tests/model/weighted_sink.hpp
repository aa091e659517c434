#pragma once
// A sink whose loss is a fixed random mix of everything it is given, so that its gradients are known.
#include <set>

#include "embedpool/core/layer_states.hpp"
#include "embedpool/core/matrix.hpp"

namespace embedpool::test {

template <Real S>
struct WeightedSink {
  std::set<Index> layers;        ///< that are wanted
  bool last_tokens = false;      ///< only the last third of each text is read
  double loss = 0;
  std::vector<Index> pushed{};

  Index last_layer() const noexcept { return *layers.rbegin(); }
  bool wants(Index layer) const noexcept { return layers.contains(layer); }
  Interval reads(const TextShape& shape) const noexcept {
    return {last_tokens ? shape.tokens - 1 - shape.tokens / 3 : 0, shape.tokens};
  }
  /// The weight of a state's value: a smooth function of where it stands.
  static S weight(Index layer, Index text, Index token, Index j) noexcept {
    return static_cast<S>(std::cos(1.0 + 3.1 * static_cast<double>(layer) + 1.7 * static_cast<double>(text) +
                                   0.9 * static_cast<double>(token) + 2.3 * static_cast<double>(j)));
  }
  template <class F>
  void each(const LayerStates<S>& states, F&& f) const {
    for (Index b = 0; b < states.segments->size(); ++b) {
      const Interval read = reads(states.segments->shape(b));
      for (Index t = read.begin; t < read.end; ++t)
        for (Index j = 0; j < states.buffer.cols; ++j)
          f(b, t, j, states.selection->first_row(b) + t - states.selection->held(b).begin);
    }
  }
  void push(Index layer, const LayerStates<S>& states) {
    pushed.push_back(layer);
    each(states, [&](Index b, Index t, Index j, Index row) {
      loss += static_cast<double>(weight(layer, b, t, j) * states.buffer(row, j));
    });
  }
  template <class E>
  void backward_layer(Index layer, const LayerStates<S>& states, Rows<S> dstates, E&) const {
    each(states, [&](Index b, Index t, Index j, Index row) { dstates(row, j) += weight(layer, b, t, j); });
  }
};

}  // namespace embedpool::test
