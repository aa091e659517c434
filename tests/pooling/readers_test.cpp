#include <doctest/doctest.h>

#include <limits>
#include <type_traits>
#include <vector>

#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/pooling/padded.hpp"
#include "embedpool/pooling/tokens/both.hpp"
#include "embedpool/pooling/tokens/prompt_excluded.hpp"
#include "embedpool/pooling/tokens/second_copy.hpp"
#include "embedpool/pooling/tokens/skip_first.hpp"
#include "embedpool/testing/hidden_states.hpp"

using namespace embedpool;

namespace {

struct TokensByName : AnyTokens {
  TokensByName() : AnyTokens(AnyTokens::parse("last,weighted-mean@text,max@second-copy@skip:4,all@skip:2,unit-mean")) {}
};
struct SkipThree : SkipFirst<TokenMean> {
  constexpr SkipThree() : SkipFirst<TokenMean>(3) {}
};

#define EVERY_READER                                                                                                   \
  LastToken, FirstToken, TokenMean, PositionWeightedMean, TokenMax, TokenMeanSqrt, UnitTokenMean, AllTokens,           \
      PromptExcluded<TokenMean>, PromptExcluded<PositionWeightedMean>, PromptExcluded<LastToken>,                      \
      PromptExcluded<AllTokens>, SkipThree, SkipFirst<PromptExcluded<TokenMax>>,                                       \
      PromptExcluded<SkipFirst<FirstToken>>, SecondCopy<TokenMean>, SecondCopy<UnitTokenMean>,                         \
      Both<LastToken, PromptExcluded<TokenMean>>, PromptExcluded<Both<AllTokens, SkipFirst<TokenMeanSqrt>>>,           \
      TokensByName

/// The keys of a text; the width has a whole block of the summing loops and a remainder.
constexpr Index width = 37;
template <Element T, Real S, class Reader>
Matrix<S> keys_of(const Reader& reader, const TextStates<T>& text) {
  Matrix<S> keys(reader.keys(text.shape()), width);
  reader.read(text, rows_of(keys));
  return keys;
}

/// Every text of a batch, its tokens in the columns of a padded buffer that `column(t, n)` names and NaN elsewhere.
template <Element T, class Column>
struct Padded {
  Index columns = 40;
  std::vector<signed char> mask;
  std::vector<T> buffer;

  Padded(const testing::HiddenStates<T>& states, const Column& column)
      : mask(std::size_t(states.segments().size() * columns), 0),
        buffer(mask.size() * std::size_t(width), testing::element<T>(std::numeric_limits<double>::quiet_NaN())) {
    for (Index b = 0; b < states.segments().size(); ++b)
      for (Index t = 0; t < states.segments().shape(b).tokens; ++t) {
        const Index place = b * columns + column(t, states.segments().shape(b).tokens);
        mask[std::size_t(place)] = 1;
        std::copy_n(states.rows(0).row_data(states.segments().offset(b) + t), width, buffer.data() + place * width);
      }
  }
};

/// Calls f with an element of each type.
template <class F>
void for_every_element_type(F&& f) {
  f(float{});
  f(double{});
  f(bf16{});
  f(f16{});
}

}  // namespace

TEST_CASE_TEMPLATE("a reader reads the exact values of every element type", Reader, EVERY_READER) {
  const Reader reader;
  for_every_element_type([&](auto example) {
    using T = decltype(example);
    const auto states = testing::HiddenStates<T>::random(testing::example_texts(), 0, width, 1);
    testing::HiddenStates<double> widened(states.segments(), 0, width);
    for (Index i = 0; i < states.segments().rows() * width; ++i)
      widened.rows(0).data[i] = to_real<double>(states.rows(0).data[i]);
    for (Index b = 0; b < states.segments().size(); ++b) {
      const Matrix<double> expected = keys_of<double, double>(reader, widened.layer(0).text(b));
      CHECK(keys_of<T, double>(reader, states.layer(0).text(b)) == expected);
      // In float a rounding a term, at most twelve tokens of a few units each.
      const Matrix<float> rounded = keys_of<T, float>(reader, states.layer(0).text(b));
      CHECK((rounded.template cast<double>() - expected).cwiseAbs().maxCoeff() < 1e-5);
    }
  });
}

TEST_CASE_TEMPLATE("a reader never reads padding left, right or in holes, in any element type", Reader, EVERY_READER) {
  const Reader reader;
  for_every_element_type([&](auto example) {
    using T = decltype(example);
    Segments texts;  // a padded batch knows no second copies: these have none
    for (const Index tokens : {Index(1), Index(7), Index(12)}) texts.add(TextShape::bare(tokens));
    const auto states = testing::HiddenStates<T>::random(texts, 0, width, 2);
    const auto matches = [&](const auto& column) {
      const Padded<T, std::decay_t<decltype(column)>> padded(states, column);
      const PaddedBatch batch(Rows<const signed char>(padded.mask.data(), texts.size(), padded.columns),
                              PaddedLayout::contiguous(padded.columns, width));
      bool same = true;
      for (Index b = 0; b < texts.size(); ++b)
        same = same && keys_of<T, float>(reader, batch.layer(padded.buffer.data()).text(b)) ==
                           keys_of<T, float>(reader, states.layer(0).text(b));
      return same;
    };
    CHECK(matches([](Index t, Index) { return t; }));
    CHECK(matches([](Index t, Index n) { return 40 - n + t; }));
    CHECK(matches([](Index t, Index) { return 5 + t; }));
    CHECK(matches([](Index t, Index) { return 3 * t + 2; }));
  });
}

TEST_CASE_TEMPLATE("a reader touches no token outside of what it says it reads", Reader, EVERY_READER) {
  const Reader reader;
  const auto states = testing::HiddenStates<double>::random(testing::example_texts(), 0, width, 3);
  const Segments& segments = states.segments();
  const RowSelection pruned(segments, [&](const TextShape& shape) { return reader.reads(shape); });
  for (Index b = 0; b < segments.size(); ++b) {
    const Interval read = reader.reads(segments.shape(b));
    // Only these rows exist: under the address sanitizer any other is an error.
    std::vector<double> rows(std::size_t(read.size() * width));
    std::copy_n(states.rows(0).row_data(segments.offset(b) + read.begin), read.size() * width, rows.data());
    const TextStates<double> text({rows.data(), read.size(), width}, 0, nullptr, read, segments.shape(b));
    const Matrix<double> keys = keys_of<double, double>(reader, states.layer(0).text(b));
    CHECK(keys_of<double, double>(reader, text) == keys);

    // The gradient of pruned rows is that of all rows, cut.
    Matrix<double> all = Matrix<double>::Zero(segments.shape(b).tokens, width);
    Matrix<double> some = Matrix<double>::Zero(read.size(), width);
    reader.backward(states.layer(0).text(b), Rows<const double>(rows_of(keys)), rows_of(all));
    reader.backward(text, Rows<const double>(rows_of(keys)), rows_of(some));
    CHECK(all.middleRows(read.begin, read.size()) == some);
    CHECK(all.sum() == doctest::Approx(some.sum()));
  }
}
