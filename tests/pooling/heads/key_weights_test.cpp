#include "embedpool/pooling/heads/key_weights.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace embedpool;

namespace {

constexpr Index n = 5, width = 4;

struct Text {
  Matrix<double> rows{n, width};
  std::vector<Index> kinds{0, 1, 2, 3, 4};

  Text() {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> value(0.1, 2);  // positive: a ReLU lets means of them through
    for (Index i = 0; i < rows.size(); ++i) rows.data()[i] = value(random);
  }
  Keys<double> keys() const { return {rows_of(rows), kinds}; }
};

template <class Head>
AnyHead::Params<double> held(const typename Head::template Params<double>& params) {
  return {detail::Held<Head, typename Head::template Params<double>>{params}};
}

/// The head's own output, and the mean of the keys that its weights give.
template <class Head>
void check_output_is_weighted_mean(const Head& head, const typename Head::template Params<double>& params) {
  const Text text;
  const auto weights = key_weights<double>(AnyHead(head), held<Head>(params), text.keys());
  REQUIRE(weights.has_value());
  CHECK(weights->sum() == doctest::Approx(1).epsilon(1e-12));
  CHECK((weights->array() - 1.0 / n).abs().maxCoeff() > 0.01);  // a plain mean would not show anything
  typename Head::template Cache<double> cache;
  const RowVector<double> output = head.forward(params, text.keys(), cache);
  CHECK((*weights * text.rows - output).cwiseAbs().maxCoeff() < 1e-12);
}

template <class Head>
auto random_params(const Head& head, std::uint64_t seed = 3) {
  auto params = head.template init<double>(width, n, seed);
  std::mt19937 random(7);
  std::normal_distribution<double> value(0, 1);
  Head::for_each(params, [&](const auto&, Matrix<double>& tensor) {
    for (Index i = 0; i < tensor.size(); ++i) tensor.data()[i] = value(random);
  });
  return params;
}

}  // namespace

TEST_CASE("heads that give a mean of their keys give the mean with these weights") {
  auto mix = random_params(LayerMix{});
  mix.gamma(0, 0) = 1;
  check_output_is_weighted_mean(LayerMix{}, mix);
  check_output_is_weighted_mean(WeightedLayers{}, random_params(WeightedLayers{}));
  check_output_is_weighted_mean(SingleQueryAttention{}, random_params(SingleQueryAttention{}));
  check_output_is_weighted_mean(AdditiveAttention{}, random_params(AdditiveAttention{}));
  check_output_is_weighted_mean(LayerAttention{}, LayerAttention::Params<double>{});
}

TEST_CASE("attention weights are a mean over queries: with maps that change nothing they give the head's output") {
  const CrossAttention head{.queries = 3, .heads = 1, .start = CrossAttention::Start::paper};
  auto params = random_params(head);
  params.attend.in_weight.bottomRows(width).setIdentity();
  params.attend.in_bias.rightCols(width).setZero();
  params.attend.out_weight.setIdentity();
  params.attend.out_bias.setZero();
  params.mlp.setIdentity();
  params.mlp_bias.setZero();
  check_output_is_weighted_mean(head, params);
}

TEST_CASE("of a perceiver head the weights are those of its normed keys, the layer table included") {
  const PerceiverHead head{.latents = 3, .heads = 1, .head_dim = width, .feed_forward = 2, .layer_table = true,
                           .residual = Residual::latents};
  auto params = random_params(head);
  params.attend.to_kv.bottomRows(width).setIdentity();
  params.attend.to_out.setIdentity();
  params.feed_forward.w2.setZero();
  params.feed_forward.b2.setZero();
  const Text text;
  head_math::LayerNormCache<double> unused;
  const Matrix<double> normed = head_math::layer_norm(Matrix<double>(text.rows + params.table), params.attend.hidden_gain,
                                                      params.attend.hidden_bias, unused);
  const auto weights = key_weights<double>(AnyHead(head), held<PerceiverHead>(params), text.keys());
  REQUIRE(weights.has_value());
  PerceiverHead::Cache<double> cache;
  const RowVector<double> attended = head.forward(params, text.keys(), cache) - params.latents.colwise().mean();
  CHECK((*weights * normed - attended).cwiseAbs().maxCoeff() < 1e-12);
}

TEST_CASE("several heads of attention count alike") {
  // Two heads of width 1. The first sees keys of equal first columns and spreads its weight; the second is given to the last key.
  const CrossAttention head{.queries = 1, .heads = 2};
  auto params = head.init<double>(2, 3);
  params.query = Matrix<double>{{1, 1}};
  params.attend.in_weight.setZero();
  params.attend.in_weight.topRows(2).setIdentity();           // q
  params.attend.in_weight.middleRows(2, 2).setIdentity();     // k
  const Matrix<double> rows{{0, 0}, {0, 0}, {0, 1000}};
  const std::vector<Index> kinds{0, 1, 2};
  const auto weights = key_weights<double>(AnyHead(head), held<CrossAttention>(params), {rows_of(rows), kinds});
  REQUIRE(weights.has_value());
  CHECK((*weights)(0) == doctest::Approx(1.0 / 6).epsilon(1e-12));
  CHECK((*weights)(2) == doctest::Approx((1.0 / 3 + 1) / 2).epsilon(1e-12));
}

TEST_CASE("heads that do not weigh their keys say so") {
  const Text text;
  for (const char* name : {"mean", "concatenate", "latent-attention"}) {
    const AnyHead head = AnyHead::named(name);
    CHECK(!key_weights<double>(head, head.init<double>(width, n), text.keys()).has_value());
  }
}
