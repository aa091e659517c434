#include "embedpool/cuda/kernels/read_tokens.cuh"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/device_key_layout.hpp"
#include "embedpool/cuda/read_layer.cuh"
#include "embedpool/pooling/padded.hpp"
#include "embedpool/testing/hidden_states.hpp"

using namespace embedpool;

namespace {

/// A user's reader: the largest and the smallest value of each dimension, two kinds of keys.
struct Extremes : OneKey {
  constexpr Index slots() const noexcept { return 2; }
  constexpr Index keys(const TextShape&) const noexcept { return 2; }
  constexpr Index slot(Index k, const TextShape&) const noexcept { return k; }

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    for (Index j = 0; j < out.cols; ++j) {
      out(0, j) = out(1, j) = value<S>(states, 0, j);
      for (Index t = 1; t < states.shape().tokens; ++t) {
        out(0, j) = std::max(out(0, j), value<S>(states, t, j));
        out(1, j) = std::min(out(1, j), value<S>(states, t, j));
      }
    }
  }
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    for (Index j = 0; j < dout.cols; ++j) {
      Index largest = 0, smallest = 0;
      for (Index t = 1; t < states.shape().tokens; ++t) {
        if (value<S>(states, t, j) > value<S>(states, largest, j)) largest = t;
        if (value<S>(states, t, j) < value<S>(states, smallest, j)) smallest = t;
      }
      dstates(largest - states.held().begin, j) += dout(0, j);
      dstates(smallest - states.held().begin, j) += dout(1, j);
    }
  }

 private:
  template <Real S, Element T>
  static constexpr S value(const TextStates<T>& states, Index t, Index j) noexcept {
    return to_real<S>(states.row(t)[static_cast<std::size_t>(j)]);
  }
};

/// A user's reader that looks at whole rows: the first token over its largest absolute value.
struct FirstOverLargest : FirstToken {
  static constexpr bool reads_whole_rows = true;

  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    for (Index j = 0; j < out.cols; ++j)
      out(0, j) = to_real<S>(states.row(0)[static_cast<std::size_t>(j)]) / largest<S>(states);
  }
  /// As if the largest value were a constant.
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    for (Index j = 0; j < dout.cols; ++j) dstates(-states.held().begin, j) += dout(0, j) / largest<S>(states);
  }

 private:
  template <Real S, Element T>
  static constexpr S largest(const TextStates<T>& states) noexcept {
    S all = S(0);
    for (const T x : states.row(0)) all = std::max(all, to_real<S>(x) < 0 ? -to_real<S>(x) : to_real<S>(x));
    return all;
  }
};

/// Users' readers that change one of the library's: neither is that one any more.
struct TwiceTheMean : TokenMean {
  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    TokenMean::read(states, out);
    for (Index j = 0; j < out.cols; ++j) out(0, j) *= S(2);
  }
  template <Element T, Real S>
  constexpr void backward(const TextStates<T>& states, Rows<const S> dout, Rows<S> dstates) const noexcept {
    TokenMean::backward(states, dout, dstates);
    TokenMean::backward(states, dout, dstates);
  }
};
struct LastHalf {
  static constexpr const char* name = "LastHalf";
  constexpr Interval view(const TextShape& shape) const noexcept { return {shape.tokens / 2, shape.tokens}; }
};
struct MinusLastHalf : Narrowed<LastHalf, TokenMax> {
  template <Element T, Real S>
  constexpr void read(const TextStates<T>& states, Rows<S> out) const noexcept {
    Narrowed::read(states, out);
    for (Index j = 0; j < out.cols; ++j) out(0, j) = -out(0, j);
  }
};

#define READERS                                                                                                        \
  LastToken, FirstToken, TokenMax, AllTokens, TokenMean, PositionWeightedMean, TokenMeanSqrt, UnitTokenMean,           \
      Both<LastToken, PromptExcluded<TokenMean>>, PromptExcluded<Both<AllTokens, SkipFirst<FirstToken>>>,              \
      Both<PromptOnly<Both<LastToken, UnitTokenMean>>, AllTokens>, Both<PromptOnly<SkipFirst<TokenMax>>, FirstToken>,  \
      SkipFirst<PromptExcluded<TokenMax>>, PromptExcluded<SkipFirst<UnitTokenMean>>, SecondCopy<PositionWeightedMean>, \
      SecondCopy<SkipFirst<AllTokens>>, SkipFirst<Both<TokenMean, Both<TokenMeanSqrt, FirstToken>>>,                   \
      Narrowed<LastHalf, TokenMean>, Extremes, PromptExcluded<Extremes>, FirstOverLargest, SkipFirst<FirstOverLargest>, \
      TwiceTheMean, MinusLastHalf, PromptExcluded<MinusLastHalf>

/// The states of one layer as a device has them: all tokens, those that a reader looks at, or a padded buffer that is
/// NaN wherever there is no token.
template <class T>
struct Layer {
  RowSelection selection;
  std::vector<T> buffer{};
  std::vector<Index> index{};

  static Layer packed(const testing::HiddenStates<T>& states, const RowSelection& chosen) {
    Layer layer{chosen};
    for (Index b = 0; b < chosen.texts(); ++b) {
      const Index first = states.segments().offset(b) + chosen.held(b).begin;
      const Rows<const T> rows = states.rows(0).middle_rows(first, chosen.held(b).size());
      layer.buffer.insert(layer.buffer.end(), rows.data, rows.data + rows.rows * rows.cols);
    }
    return layer;
  }
  /// Text b in columns b, b + 2, ... of its row.
  static Layer padded(const testing::HiddenStates<T>& states) {
    const Segments& segments = states.segments();
    const Index columns = 2 * segments.longest() + segments.size(), width = states.width();
    Layer layer{RowSelection::all(segments)};
    layer.buffer.assign(static_cast<std::size_t>(segments.size() * columns * width),
                        testing::element<T>(std::numeric_limits<double>::quiet_NaN()));
    for (Index b = 0; b < segments.size(); ++b)
      for (Index t = 0; t < segments.shape(b).tokens; ++t) {
        layer.index.push_back(b * columns + b + 2 * t);
        std::copy_n(states.rows(0).row_data(segments.offset(b) + t), width,
                    layer.buffer.data() + layer.index.back() * width);
      }
    return layer;
  }
  Rows<const T> rows(Index width) const { return {buffer.data(), static_cast<Index>(buffer.size()) / width, width}; }
};

bool has_nan(const std::vector<float>& values) {
  return std::any_of(values.begin(), values.end(), [](float x) { return std::isnan(x); });
}

/// What a reader gives on a device, and what on the host in double.
template <class Reader, class T>
void check_reader(test::TestDevice& device, const Reader& reader, const testing::HiddenStates<T>& states,
                  const Layer<T>& layer) {
  const Segments& segments = states.segments();
  const Index width = states.width(), layer_slots = 2, layer_slot = 1;
  const KeyLayout layout(reader, segments, layer_slots);
  const LayerStates<T> on_host{layer.rows(width), &segments, &layer.selection, layer.index};
  const auto dkeys = test::random_values<float>(layout.rows() * width, 7);
  const auto dstates = test::random_values<float>(layer.selection.rows() * width, 8);
  const std::vector<float> nothing(dkeys.size(), std::numeric_limits<float>::quiet_NaN());
  std::vector<double> keys(nothing.begin(), nothing.end()), gradient(dstates.begin(), dstates.end());
  const std::vector<double> wide_dkeys(dkeys.begin(), dkeys.end());
  for (Index b = 0; b < segments.size(); ++b) {
    const Index first = layout.first_key(b, layer_slot), count = layout.keys_per_layer(b);
    reader.read(on_host.text(b), Rows<double>(keys.data() + first * width, count, width));
    reader.backward(on_host.text(b), Rows<const double>(wide_dkeys.data() + first * width, count, width),
                    Rows<double>(gradient.data() + layer.selection.first_row(b) * width,
                                 layer.selection.held(b).size(), width));
  }

  cuda::PackedTextsBuffer texts;
  cuda::DeviceBuffer<Index> index;
  cuda::DeviceBuffer<double> scratch;
  cuda::DeviceKeyLayout places;
  const test::OnDevice<T> buffer(device, layer.buffer, on_host.buffer.rows, width);
  const test::OnDevice<float> got(device, nothing, layout.rows(), width), above(device, dkeys, layout.rows(), width),
      below(device, dstates, layer.selection.rows(), width);
  places.upload(device, reader, segments, layer_slots);
  const cuda::DeviceStates<T> on_device{
      buffer.rows(), texts.upload(device, segments, layer.selection),
      layer.index.empty() ? nullptr : index.upload(device, std::span<const Index>(layer.index))};
  Index part_number = 0;
  cuda::for_each_part(reader, [&](const auto& part) {
    const cuda::KeyPlaces at = places.places(part_number++, layer_slot);
    cuda::read_part(device, part, on_device, at, got.rows(), scratch);
    cuda::read_part_backward(device, part, on_device, at, Rows<const float>(above.rows()), below.rows());
  });

  std::vector<float> read, expected;
  bool untouched = true;  // the keys of the other layer
  const std::vector<float> all = got.values();
  for (Index b = 0; b < segments.size(); ++b)
    for (Index k = 0; k < layout.keys(b); ++k)
      for (Index j = 0; j < width; ++j) {
        const auto i = static_cast<std::size_t>((layout.first_key(b) + k) * width + j);
        if (k < layout.keys_per_layer(b)) {
          untouched = untouched && std::isnan(all[i]);
        } else {
          read.push_back(all[i]);
          expected.push_back(static_cast<float>(keys[i]));
        }
      }
  CHECK(untouched);
  CHECK_FALSE(has_nan(read));  // of padding, or of a key that was not written
  CHECK_FALSE(has_nan(below.values()));
  CHECK(test::relative_error(read, expected) <= 2 * 0x1p-24);  // a rounding on both sides
  // The sum in float of what was there and of at most four readers' gradients, each rounded.
  CHECK(test::relative_error(below.values(), gradient) <= 10 * 0x1p-24);
}

/// A text of one token, one with a prompt and an echo, and one of more tokens than SumTokens has warps.
Segments example_texts() {
  Segments segments;
  segments.add(TextShape::bare(1));
  segments.add({5, {2, 4}, 3});
  segments.add({12, {3, 11}, 7});
  return segments;
}

enum class Held { all, read, padded };

template <class T, class Reader>
void check_reader(const Reader& reader, Index width, Held held) {
  CAPTURE(width);
  CAPTURE(static_cast<int>(held));
  const auto states = testing::HiddenStates<T>::random(example_texts(), 0, width, 1);
  const RowSelection all = RowSelection::all(states.segments());
  const RowSelection read(states.segments(), [&](const TextShape& shape) { return reader.reads(shape); });
  const Layer<T> layer = held == Held::padded ? Layer<T>::padded(states)
                                              : Layer<T>::packed(states, held == Held::all ? all : read);
  test::on_every_device([&](test::TestDevice& device) { check_reader(device, reader, states, layer); });
}

/// Widths: one column, an odd one, and one that is aligned and more than a tile of every kernel.
template <class Reader>
void check_everywhere(const Reader& reader) {
  check_reader<float>(reader, 1, Held::read);
  check_reader<float>(reader, 37, Held::padded);
  check_reader<float>(reader, 132, Held::all);
  check_reader<bf16>(reader, 264, Held::padded);
  check_reader<f16>(reader, 264, Held::read);
}

}  // namespace

TEST_CASE_TEMPLATE("every reader gives the host's keys and gradients, and reads no padding", Reader, READERS) {
  check_everywhere(Reader{});
}

TEST_CASE("readers chosen at run time are the fixed ones") {
  for (const char* const names : {"last@prompt,mean@text", "unit-mean@second-copy",
                                  "last,weighted-mean@text,max@second-copy@skip:4,all@skip:2,mean-sqrt"}) {
    CAPTURE(std::string(names));
    check_everywhere(AnyTokens::parse(names));
  }
}
