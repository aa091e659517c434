#include "embedpool/pooling/pooling_stream.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "embedpool/pooling/calibration_stream.hpp"
#include "embedpool/pooling/heads/identity.hpp"
#include "embedpool/pooling/heads/layer_mean.hpp"
#include "embedpool/pooling/layers.hpp"
#include "embedpool/pooling/pooling.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/last_token.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/token_mean.hpp"
#include "embedpool/testing/hidden_states.hpp"
#include "support/refused.hpp"

using namespace embedpool;
using embedpool::test::refusal;

namespace {

/// A head that remembers where its keys lay and fails on a text of its choice.
struct Witness {
  template <Real S>
  struct Params {
    mutable std::vector<const S*> seen{};
    mutable std::vector<Index> strides{};
    Index fails_from = 1 << 20;  ///< keys whose first value is this or more
  };
  template <Real S>
  struct Cache {};
  template <class P, class F>
  static void for_each(P&, F&&) {}
  template <Real S>
  Params<S> init(Index, Index) const {
    return {};
  }
  Index output_width(Index width) const noexcept { return width; }
  template <Real S>
  RowVector<S> forward(const Params<S>& w, const Keys<S>& keys, Cache<S>&) const {
    w.seen.push_back(keys.rows.data);
    w.strides.push_back(keys.rows.stride);
    if (keys.rows(0, 0) >= static_cast<S>(w.fails_from))
      throw Error("text " + std::to_string(static_cast<int>(keys.rows(0, 0))));
    return as_eigen(keys.rows).row(0);
  }
  template <Real S>
  void backward(const Params<S>&, const Keys<S>&, const Cache<S>&, const RowVector<S>&, Params<S>&, Rows<S>) const {}
};

/// Jobs in falling order.
struct LastFirst {
  Index workers() const { return 1; }
  void parallel_for(Index count, const auto& job) {
    for (Index i = count; i-- > 0;) job(i, Index(0));
  }
};

const Identity::Params<float> nothing;  // Identity has nothing to learn

Segments two_texts() { return Segments::from_offsets(std::vector<Index>{0, 2, 5}); }

}  // namespace

TEST_CASE("a push that does not fit is refused by name") {
  const Segments segments = two_texts();
  const auto states = testing::HiddenStates<float>::random(segments, 3, 4, 1);
  const Pooling<LayerRange, TokenMean, LayerMean> pooling{{1, 2}};
  const auto stream = [&] { return pooling.stream<float>(nothing, segments, 3, 4); };

  CHECK(refusal([&] { stream().push(3, states.layer(3)); }) == "Pooling: layer 3 is not one that is read");
  CHECK(refusal([&] { stream().push(4, states.layer(3)); }) == "Pooling: layer must be in [0, 3], got 4");
  CHECK(refusal([&] { stream().push(-1, states.layer(0)); }) == "Pooling: layer must be in [0, 3], got -1");
  CHECK(refusal([&] {
          auto s = stream();
          s.push(1, states.layer(1));
          s.push(1, states.layer(1));
        }) == "Pooling: layer 1 was pushed twice");
  CHECK(refusal([&] {
          auto s = stream();
          s.push(1, states.layer(1));
          s.finish();
        }) == "Pooling: layer 2 of 3 was never pushed");
  CHECK(refusal([&] {
          auto s = stream();
          s.push(2, states.layer(2));
          s.push(1, states.layer(1));
          s.finish();
          s.finish();
        }) == "Pooling: finish was called twice");

  const auto wide = testing::HiddenStates<float>::random(segments, 3, 5, 1);
  CHECK(refusal([&] { stream().push(1, wide.layer(1)); }) == "Pooling: layer 1: width must be 4, got 5");
  LayerStates<float> short_buffer = states.layer(1);
  short_buffer.buffer.rows = 4;
  CHECK(refusal([&] { stream().push(1, short_buffer); }) == "Pooling: layer 1: rows must be 5, got 4");
  const auto other = testing::HiddenStates<float>::random(Segments::from_offsets(std::vector<Index>{0, 3, 5}), 3, 4, 1);
  CHECK(refusal([&] { stream().push(1, other.layer(1)); }) == "Pooling: layer 1: text 0: tokens must be 2, got 3");
  CHECK(refusal([&] { stream().push(1, states.batch_of({0}).layer(1)); }) == "Pooling: layer 1: texts must be 2, got 1");
  CHECK(refusal([&] { stream().push(1, LayerStates<float>{}); }) ==
        "Pooling: layer 1 comes without segments or selection");
  Segments prompted;
  prompted.add(segments.shape(0));
  prompted.add({3, {1, 3}, 1});
  const auto elsewhere = testing::HiddenStates<float>::random(prompted, 3, 4, 1);
  CHECK(refusal([&] { stream().push(1, elsewhere.layer(1)); }) ==
        "Pooling: layer 1: text 1 has its prompt or its copies at other tokens than the text of the stream");
  LayerStates<float> nowhere = states.layer(1), narrow = states.layer(1);
  nowhere.buffer.data = nullptr;
  narrow.buffer.stride = 3;
  CHECK(refusal([&] { stream().push(1, nowhere); }) == "Pooling: layer 1 comes without rows");
  CHECK(refusal([&] { stream().push(1, narrow); }).starts_with("Pooling: layer 1: stride must be in [4, "));
  const RowSelection last(segments, [](const TextShape& shape) { return Interval{shape.tokens - 1, shape.tokens}; });
  CHECK(refusal([&] { stream().push(1, LayerStates<float>{states.rows(1).middle_rows(0, 2), &segments, &last, {}}); }) ==
        "Pooling: layer 1: text 0: first token held must be in [0, 0], got 1");
  const std::vector<Index> outside = {0, 1, 2, 3, 5};
  LayerStates<float> indexed = states.layer(1);
  indexed.index = outside;
  CHECK(refusal([&] { stream().push(1, indexed); }) == "Pooling: layer 1: row number must be in [0, 4], got 5");
}

TEST_CASE("a batch that cannot be pooled is refused before anything is pushed") {
  const Segments two = two_texts();
  Segments segments = two_texts();
  segments.add({3, {2, 2}, 2});
  const Pooling<LastLayer, PromptExcluded<TokenMean>, Identity> pooling;
  CHECK(refusal([&] { pooling.stream<float>(nothing, segments, 3, 4); }) ==
        "Pooling: text 2: PromptExcluded: no token is left to read in a text of 3 tokens whose own tokens are [2, 2)");
  CHECK(refusal([&] { pooling.stream<float>(nothing, two, 3, 0); }).starts_with("Pooling: width of the states"));
  const Pooling<OneLayer, TokenMean, Identity> deep{{7}};
  CHECK(refusal([&] { deep.stream<float>(nothing, two, 3, 4); }) == "OneLayer: layer must be in [0, 3], got 7");
  const Calibration<float> narrow{Matrix<float>::Zero(1, 3), Matrix<float>::Ones(1, 3)};
  const Pooling<LastLayer, TokenMean, Identity> plain;
  CHECK(refusal([&] { plain.stream<float>(nothing, two, 3, 4, &narrow); }) ==
        "Calibration: columns of mean must be 4, got 3");
}

TEST_CASE("keys are stored for readers that reduce a text, as many for a long text as for a short one") {
  const Pooling<EveryLayer, Both<LastToken, TokenMean>, LayerMean> pooling;
  for (const Index tokens : {Index(1), Index(1000)}) {
    const Segments segments = Segments::from_offsets(std::vector<Index>{0, tokens, 2 * tokens});
    CHECK(pooling.stream<float>(nothing, segments, 12, 4).stored_keys() == 2 * 12 * 2);
  }
}

TEST_CASE("rows of one layer that are keys unchanged reach the head where they lie, and are not stored") {
  using Direct = Pooling<LastLayer, AllTokens, Witness>;
  const Index width = 16;  // 64 bytes
  const Segments segments = two_texts();
  AlignedBuffer<float> memory(5 * width);
  std::fill_n(memory.data(), 5 * width, 1.0f);
  const RowSelection all = RowSelection::all(segments);
  const LayerStates<float> layer{{memory.data(), 5, width}, &segments, &all, {}};

  const Direct::Params<float> params;
  auto stream = Direct{}.stream<float>(params, segments, 1, width);
  CHECK(stream.stored_keys() == 0);
  stream.push(1, layer);
  CHECK(params.seen == std::vector<const float*>{memory.data(), memory.data() + 2 * width});

  // A calibration needs a copy; so does another type; and training keeps the keys for backward.
  const Calibration<float> calibration{Matrix<float>::Zero(1, width), Matrix<float>::Ones(1, width)};
  const Direct::Params<float> copied;
  auto calibrated = Direct{}.stream<float>(copied, segments, 1, width, &calibration);
  CHECK(calibrated.stored_keys() == 0);
  calibrated.push(1, layer);
  CHECK(copied.seen.size() == 2);
  CHECK(copied.seen[0] != memory.data());
  CHECK(Direct{}.stream<float>(copied, segments, 1, width, nullptr, KeepForBackward::yes).stored_keys() == 5);
}

TEST_CASE("every key begins at a multiple of 64 bytes, wherever the states lie") {
  // How vectorised sums are split can depend on the address: without this, bits would depend on the batch.
  const Index width = 5;
  const Segments segments = Segments::from_offsets(std::vector<Index>{0, 2, 3, 6});
  const RowSelection all = RowSelection::all(segments);
  AlignedBuffer<float> memory(1 + 6 * 16);
  std::fill_n(memory.data(), 1 + 6 * 16, 1.0f);
  const auto check = [&]<class P>(const P& pooling, Index begin, Index stride) {
    CAPTURE(begin);
    CAPTURE(stride);
    const Witness::Params<float> params;
    auto stream = pooling.template stream<float>(params, segments, 1, width);
    stream.push(1, LayerStates<float>{{memory.data() + begin, 6, width, stride}, &segments, &all, {}});
    stream.finish();
    CHECK(params.seen.size() == 3);
    for (const float* keys : params.seen) CHECK(reinterpret_cast<std::uintptr_t>(keys) % 64 == 0);
    for (const Index between : params.strides) CHECK(between % 16 == 0);
  };
  check(Pooling<LastLayer, TokenMean, Witness>{}, 0, width);  // stored
  const Pooling<LastLayer, AllTokens, Witness> direct;
  check(direct, 0, width);  // the first row alone is where it must be, and not the second of its text
  check(direct, 1, 16);     // none is
  check(direct, 0, 16);     // all are
}

TEST_CASE("an exception of a head reaches the caller, that of the first text whoever ran first") {
  LastFirst executor;
  Witness::Params<float> params;
  params.fails_from = 3;
  const Segments segments = Segments::from_offsets(std::vector<Index>{0, 1, 2, 3, 4, 5});
  const float values[] = {1, 2, 3, 4, 5};
  const RowSelection all = RowSelection::all(segments);
  auto stream = Pooling<LastLayer, LastToken, Witness>{}.stream<float>(params, segments, 1, 1, executor);
  stream.push(1, LayerStates<float>{{values, 5, 1}, &segments, &all, {}});
  CHECK_THROWS_WITH_AS(stream.finish(executor), "text 3", Error);
}

TEST_CASE("backward is refused before there is anything to go back from") {
  const Segments segments = two_texts();
  const auto states = testing::HiddenStates<float>::random(segments, 1, 4, 1);
  const Pooling<LastLayer, TokenMean, Identity> pooling;
  SerialExecutor executor;
  Identity::Params<float> dparams;
  Matrix<float> de = Matrix<float>::Zero(2, 4), dstates = Matrix<float>::Zero(5, 4);
  const auto finished = [&](KeepForBackward keep) {
    auto stream = pooling.stream<float>(nothing, segments, 1, 4, nullptr, keep);
    stream.push(1, states.layer(1));
    stream.finish();
    return stream;
  };
  auto inference = finished(KeepForBackward::no);
  CHECK(refusal([&] { inference.backward(rows_of(de), dparams, executor); }).find("KeepForBackward") != std::string::npos);
  auto training = finished(KeepForBackward::yes);
  CHECK(refusal([&] { training.backward_layer(1, states.layer(1), rows_of(dstates), executor); }) ==
        "Pooling: backward_layer comes after backward");
  CHECK(refusal([&] { training.backward(rows_of(dstates), dparams, executor); }) ==
        "Pooling: backward: rows of de must be 2, got 5");
  training.backward(rows_of(de), dparams, executor);
  CHECK(refusal([&] { training.backward_layer(1, states.layer(1), rows_of(de), executor); }) ==
        "Pooling: backward_layer: rows of dstates must be 5, got 2");
}

TEST_CASE("a stream says how far a backbone must go and what of the last layer it needs") {
  const Segments segments = two_texts();
  const Pooling<LayerList, LastToken, LayerMean> pooling{{{5, 2}}};
  const auto stream = pooling.stream<float>(nothing, segments, 12, 4);
  CHECK(stream.last_layer() == 5);
  CHECK(stream.wants(2));
  CHECK_FALSE(stream.wants(3));
  CHECK(stream.reads(segments.shape(1)) == Interval{2, 3});
  static_assert(LayerSink<decltype(pooling.stream<float>(nothing, segments, 12, 4)), f16>);
}

template <class P, class Params, class Texts>
concept Streams = requires(const P& pooling, Params&& params, Texts&& segments) {
  pooling.template stream<float>(std::forward<Params>(params), std::forward<Texts>(segments), 1, 4);
};

TEST_CASE("a stream is not made of what would be gone") {
  using Last = Pooling<LastLayer, LastToken, Identity>;
  using Params = Last::Params<float>;
  static_assert(Streams<Last, const Params&, const Segments&>);
  static_assert(Streams<Last, Params&, Segments&>);
  static_assert(!Streams<Last, Params, const Segments&>);
  static_assert(!Streams<Last, const Params&, Segments>);
  using Calibrating = CalibrationStream<LastLayer, LastToken>;
  static_assert(std::is_constructible_v<Calibrating, LastLayer, LastToken, Segments&, int, int, CalibrationEstimator&>);
  static_assert(!std::is_constructible_v<Calibrating, LastLayer, LastToken, Segments, int, int, CalibrationEstimator&>);
}
