#pragma once
#include <random>
#include <vector>

#include "embedpool/core/layer_states.hpp"

namespace embedpool::testing {

/// A value as an element of type T holds it.
template <Element T>
T element(double x) {
  if constexpr (std::same_as<T, bf16>)
    return to_bf16(static_cast<float>(x));
  else if constexpr (std::same_as<T, f16>)
    return to_f16(static_cast<float>(x));
  else
    return static_cast<T>(x);
}

/// Texts of every kind that readers tell apart: a single token, bare, with a prompt, with something appended, echoed.
inline Segments example_texts() {
  Segments segments;
  segments.add(TextShape::bare(1));
  segments.add({7, {2, 6}, 3});
  segments.add({5, {1, 5}, 1});
  segments.add({12, {3, 11}, 7});
  segments.add(TextShape::bare(9));
  return segments;
}

/// The states of a batch in every layer 0..L, packed: what a backbone would push.
template <Element T>
class HiddenStates {
 public:
  HiddenStates(const Segments& segments, Index layers, Index width)
      : segments_(segments),
        selection_(RowSelection::all(segments)),
        width_(width),
        values_(static_cast<std::size_t>(layers + 1),
                std::vector<T>(static_cast<std::size_t>(segments.rows() * width), element<T>(0))) {}

  /// Normally distributed values from a seed, the same for every T up to its rounding.
  static HiddenStates random(const Segments& segments, Index layers, Index width, unsigned seed) {
    HiddenStates states(segments, layers, width);
    std::mt19937 generator(seed);
    std::normal_distribution<double> normal;
    for (auto& layer : states.values_)
      for (T& x : layer) x = element<T>(normal(generator));
    return states;
  }

  const Segments& segments() const noexcept { return segments_; }
  Index layers() const noexcept { return static_cast<Index>(values_.size()) - 1; }
  Index width() const noexcept { return width_; }
  Rows<T> rows(Index layer) noexcept {
    return {values_[static_cast<std::size_t>(layer)].data(), segments_.rows(), width_};
  }
  Rows<const T> rows(Index layer) const noexcept {
    return {values_[static_cast<std::size_t>(layer)].data(), segments_.rows(), width_};
  }
  LayerStates<T> layer(Index k) const noexcept { return {rows(k), &segments_, &selection_, {}}; }
  std::vector<LayerStates<T>> every_layer() const {
    std::vector<LayerStates<T>> states;
    for (Index k = 0; k <= layers(); ++k) states.push_back(layer(k));
    return states;
  }

  /// A batch of the named texts of this one, in that order.
  HiddenStates batch_of(const std::vector<Index>& texts) const {
    Segments segments;
    for (const Index b : texts) segments.add(segments_.shape(b));
    HiddenStates states(segments, layers(), width_);
    for (Index k = 0; k <= layers(); ++k)
      for (std::size_t i = 0; i < texts.size(); ++i)
        for (Index t = 0; t < segments_.shape(texts[i]).tokens; ++t)
          std::copy_n(rows(k).row_data(segments_.offset(texts[i]) + t), width_,
                      states.rows(k).row_data(segments.offset(static_cast<Index>(i)) + t));
    return states;
  }

 private:
  Segments segments_;
  RowSelection selection_;
  Index width_;
  std::vector<std::vector<T>> values_;
};

}  // namespace embedpool::testing
