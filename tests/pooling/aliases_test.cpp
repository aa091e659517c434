#include <doctest/doctest.h>

#include <type_traits>

#include "embedpool/pooling.hpp"
#include "embedpool/testing/hidden_states.hpp"

using namespace embedpool;

namespace {

template <MaskPolicy Mask>
constexpr bool sums_up_with_mean = std::is_same_v<SummaryToken<Mask>, TokenMean>;

template <class P>
Matrix<double> embed(const P& pooling, const typename P::template Params<double>& params,
                     const testing::HiddenStates<double>& states) {
  const auto layers = states.every_layer();
  return pooling.template run<double, double>(params, states.segments(), layers);
}

}  // namespace

TEST_CASE("a layer is summed up by its mean where tokens look ahead, else by its last token") {
  CHECK(sums_up_with_mean<Bidirectional>);
  CHECK(sums_up_with_mean<BidirectionalWindow>);
  CHECK(sums_up_with_mean<BidirectionalWindowExclusive>);
  CHECK_FALSE(sums_up_with_mean<Causal>);
  CHECK_FALSE(sums_up_with_mean<CausalWindow>);
  CHECK_FALSE(sums_up_with_mean<PrefixBidirectional>);
  CHECK(sums_up_with_mean<Intersection<Bidirectional, BidirectionalWindow>>);
  CHECK_FALSE(sums_up_with_mean<Intersection<BidirectionalWindow, Causal>>);
}

TEST_CASE("named poolings compute what their names say") {
  const auto states = testing::HiddenStates<double>::random(testing::example_texts(), 3, 5, 1);
  const auto rows = as_eigen(states.rows(3));
  const Index text = 3;  // twelve tokens, its own are [3, 11), echoed at 7
  const Index first = states.segments().offset(text);
  const auto is = [&](const Matrix<double>& embeddings, const RowVector<double>& expected) {
    return (embeddings.row(text) - expected).cwiseAbs().maxCoeff() < 1e-14;  // a rounding a term
  };
  CHECK(is(embed(EosLast{}, {}, states), rows.row(first + 11)));
  CHECK(is(embed(ClsPooling{}, {}, states), rows.row(first)));
  CHECK(is(embed(MeanPooling{}, {}, states), rows.middleRows(first, 12).colwise().mean()));
  CHECK(is(embed(InstructedMeanPooling{}, {}, states), rows.middleRows(first + 3, 8).colwise().mean()));
  CHECK(is(embed(EchoPooling{}, {}, states), rows.middleRows(first + 7, 4).colwise().mean()));
  RowVector<double> weighted = RowVector<double>::Zero(5);
  for (Index t = 0; t < 12; ++t) weighted += static_cast<double>(t + 1) / 78 * rows.row(first + t);
  CHECK(is(embed(WeightedMeanPooling{}, {}, states), weighted));
  RowVector<double> every = RowVector<double>::Zero(5);
  for (Index k = 1; k <= 3; ++k) every += as_eigen(states.rows(k)).middleRows(first, 12).colwise().mean() / 3;
  CHECK(is(embed(EveryLayerMean{}, {}, states), every));
  const PromptAndTextMix mix;
  RowVector<double> both = RowVector<double>::Zero(5);
  for (Index k = 1; k <= 3; ++k) {
    const auto layer = as_eigen(states.rows(k));
    both += (layer.row(first + 11) + layer.middleRows(first + 3, 8).colwise().mean()) / 6;
  }
  CHECK(is(embed(mix, mix.head.init<double>(5, mix.slots(3)), states), both));  // an untrained mix is the mean
}

TEST_CASE("the poolings of the paper's code have its head, with a layer table where they read every layer") {
  const PaperLastLayer last;
  CHECK(last.head.latents == 768);
  CHECK(last.head.heads == 32);
  CHECK(last.head.head_dim == 2048);
  CHECK(last.head.residual == Residual::latents);
  CHECK_FALSE(last.head.layer_table);
  CHECK(PaperMultiLayer<Causal>{}.head.layer_table);

  PaperMultiLayer<Bidirectional> small;
  small.head.latents = 3;
  small.head.heads = 2;
  small.head.head_dim = 4;
  const auto states = testing::HiddenStates<double>::random(testing::example_texts(), 3, 5, 2);
  const Matrix<double> e = embed(small, small.head.init<double>(5, small.slots(3)), states);
  CHECK(e.rows() == states.segments().size());
  CHECK(e.allFinite());
}
