#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <string_view>
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

/// Every reader and modifier by name: any_tokens_test.cpp shows that the fixed readers are these, to the bit.
std::vector<AnyTokens> every_reader() {
  std::vector<AnyTokens> readers;
  for (const std::string_view name :
       {"last", "first", "mean", "weighted-mean", "max", "mean-sqrt", "unit-mean", "all", "mean@text",
        "weighted-mean@text", "last@text", "all@text", "mean@skip:3", "max@text@skip:1", "mean@second-copy",
        "last,mean@text", "last,weighted-mean@text,max@second-copy@skip:4,all@skip:2,unit-mean"})
    readers.push_back(AnyTokens::parse(name));
  return readers;
}

// Fixed readers whose own arithmetic says what they touch.
#define FIXED_READERS                                                                                       \
  LastToken, FirstToken, TokenMean, AllTokens, SkipFirst<PromptExcluded<TokenMax>>, SecondCopy<LastToken>,  \
      Both<LastToken, PromptExcluded<UnitTokenMean>>, PromptExcluded<Both<AllTokens, SkipFirst<FirstToken>>>

/// The keys of a text; the width has a whole block of the summing loops and a remainder.
constexpr Index width = 37;
template <Element T, Real S, class Reader>
Matrix<S> keys_of(const Reader& reader, const TextStates<T>& text) {
  Matrix<S> keys(reader.keys(text.shape()), width);
  reader.read(text, rows_of(keys));
  return keys;
}

/// Where a padded batch puts token t of n.
struct Side {
  const char* name;
  Index (*column)(Index t, Index n);
};
constexpr Index columns = 40;
constexpr Side sides[] = {{"right", [](Index t, Index) { return t; }},
                          {"left", [](Index t, Index n) { return columns - n + t; }},
                          {"both", [](Index t, Index) { return 5 + t; }},
                          {"holes", [](Index t, Index) { return 3 * t + 2; }}};

/// Every text of a batch in a padded buffer, NaN where there is no token.
template <Element T>
struct Padded {
  std::vector<signed char> mask;
  std::vector<T> buffer;

  Padded(const testing::HiddenStates<T>& states, const Side& side)
      : mask(std::size_t(states.segments().size() * columns), 0),
        buffer(mask.size() * std::size_t(width), testing::element<T>(std::numeric_limits<double>::quiet_NaN())) {
    for (Index b = 0; b < states.segments().size(); ++b)
      for (Index t = 0; t < states.segments().shape(b).tokens; ++t) {
        const Index place = b * columns + side.column(t, states.segments().shape(b).tokens);
        mask[std::size_t(place)] = 1;
        std::copy_n(states.rows(0).row_data(states.segments().offset(b) + t), width, buffer.data() + place * width);
      }
  }
};

}  // namespace

TEST_CASE_TEMPLATE("a reader reads the exact values of every element type", T, float, double, bf16, f16) {
  const auto states = testing::HiddenStates<T>::random(testing::example_texts(), 0, width, 1);
  testing::HiddenStates<double> widened(states.segments(), 0, width);
  for (Index i = 0; i < states.segments().rows() * width; ++i)
    widened.rows(0).data[i] = to_real<double>(states.rows(0).data[i]);
  for (const AnyTokens& reader : every_reader()) {
    CAPTURE(reader.to_string());
    for (Index b = 0; b < states.segments().size(); ++b) {
      const Matrix<double> expected = keys_of<double, double>(reader, widened.layer(0).text(b));
      CHECK(keys_of<T, double>(reader, states.layer(0).text(b)) == expected);
      // In float a rounding a term, at most twelve tokens of a few units each.
      const Matrix<float> rounded = keys_of<T, float>(reader, states.layer(0).text(b));
      CHECK((rounded.template cast<double>() - expected).cwiseAbs().maxCoeff() < 1e-5);
    }
  }
}

TEST_CASE("a value that is no number shows in the largest one, wherever it stands") {
  const auto states = testing::HiddenStates<float>::random(testing::example_texts(), 0, width, 1);
  const AnyTokens reader = AnyTokens::parse("max");
  for (Index b = 0; b < states.segments().size(); ++b)
    for (Index t = 0; t < states.segments().shape(b).tokens; ++t) {
      auto damaged = states;
      damaged.rows(0)(states.segments().offset(b) + t, 1) = std::numeric_limits<float>::quiet_NaN();
      const Matrix<float> key = keys_of<float, float>(reader, damaged.layer(0).text(b));
      CHECK(std::isnan(key(0, 1)));
      CHECK(key(0, 0) == keys_of<float, float>(reader, states.layer(0).text(b))(0, 0));
    }
}

TEST_CASE_TEMPLATE("a reader never reads padding, in any element type", T, float, double, bf16, f16) {
  Segments texts;  // a padded batch knows no second copies: these have none
  for (const Index tokens : {Index(1), Index(7), Index(12)}) texts.add(TextShape::bare(tokens));
  const auto states = testing::HiddenStates<T>::random(texts, 0, width, 2);
  for (const Side& side : sides) {
    const Padded<T> padded(states, side);
    const PaddedBatch batch(Rows<const signed char>(padded.mask.data(), texts.size(), columns),
                            PaddedLayout::contiguous(columns, width));
    for (const AnyTokens& reader : every_reader()) {
      CAPTURE(std::string(side.name));
      CAPTURE(reader.to_string());
      for (Index b = 0; b < texts.size(); ++b)
        CHECK(keys_of<T, float>(reader, batch.layer(padded.buffer.data()).text(b)) ==
              keys_of<T, float>(reader, states.layer(0).text(b)));
    }
  }
}

TEST_CASE_TEMPLATE("a reader touches no token outside of what it says it reads", Reader, FIXED_READERS) {
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
