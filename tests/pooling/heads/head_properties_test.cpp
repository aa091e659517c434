#include <doctest/doctest.h>

#include "embedpool/pooling/any_head.hpp"
#include "embedpool/testing/gradient_check.hpp"
#include "support/random_matrix.hpp"

using namespace embedpool;
using embedpool::test::random_matrix;

namespace {

std::vector<Index> first_slots(Index keys) {
  std::vector<Index> slots;
  for (Index k = 0; k < keys; ++k) slots.push_back(k);
  return slots;
}

/// Small and odd sizes of one kind of head, options on and off.
std::vector<AnyHead> heads_of_every_kind(Index keys) {
  std::vector<AnyHead> heads{LayerMean{false},
                             LayerMean{true},
                             Concatenate{{}, keys},
                             LayerMix{false},
                             LayerMix{true},
                             WeightedLayers{},
                             SingleQueryAttention{},
                             AdditiveAttention{},
                             LayerAttention{0},
                             LayerAttention{3},
                             CrossAttention{1, 3, true, CrossAttention::Start::paper},
                             CrossAttention{2, 1, false, CrossAttention::Start::pooling},
                             PerceiverHead{3, 2, 5, 7, true, Residual::latents},
                             PerceiverHead{1, 1, 4, 0, false, Residual::pooled},
                             LatentAttention{5, 2, 3, 7, true}};
  if (keys == 1)
    heads.push_back(Identity{});
  else
    heads.push_back(TaskQueryAttention{});  // a key of the prompt, and one of the text
  return heads;
}

constexpr Index width = 6;

/// Parameters that are random everywhere, so that a zero start hides no wrong gradient.
AnyHead::Params<double> random_params(const AnyHead& head, Index slots, unsigned seed) {
  auto params = head.init<double>(width, slots, seed);
  AnyHead::for_each(params, [&](const std::string&, Matrix<double>& tensor) {
    tensor += 0.5 * random_matrix(tensor.rows(), tensor.cols(), ++seed);
  });
  return params;
}

}  // namespace

TEST_CASE("every head's backward agrees with central differences in keys and parameters") {
  for (const Index count : {1, 3, 8})
    for (const AnyHead& head : heads_of_every_kind(count)) {
      CAPTURE(std::string(head.name()));
      CAPTURE(count);
      Matrix<double> rows = random_matrix(count, width, 7);
      const std::vector<Index> slots = first_slots(count);
      auto params = random_params(head, count + 1, 11);
      const RowVector<double> mix = random_matrix(1, head.output_width(width), 13);
      const auto loss = [&] {
        AnyHead::Cache<double> cache;
        return head.forward(params, Keys<double>{rows_of(std::as_const(rows)), slots}, cache).dot(mix);
      };
      AnyHead::Cache<double> cache;
      const Keys<double> keys{rows_of(std::as_const(rows)), slots};
      head.forward(params, keys, cache);
      auto gradient = params;
      AnyHead::for_each(gradient, [](const std::string&, Matrix<double>& tensor) { tensor.setZero(); });
      Matrix<double> dkeys = Matrix<double>::Zero(count, width);
      head.backward(params, keys, cache, mix, gradient, rows_of(dkeys));
      // Error of the difference quotient, about step^2 + epsilon / step = 1e-10, of sums over some hundred terms.
      const auto agrees = [&](const std::string& name, Matrix<double>& x, const Matrix<double>& dx) {
        CAPTURE(name);
        const Matrix<double> numeric = testing::numeric_gradient(x, loss);
        CHECK((dx - numeric).cwiseAbs().maxCoeff() < 1e-8 * std::max(1.0, numeric.cwiseAbs().maxCoeff()));
      };
      agrees("keys", rows, dkeys);
      std::vector<Matrix<double>> gradients;
      AnyHead::for_each(gradient, [&](const std::string&, Matrix<double>& tensor) { gradients.push_back(tensor); });
      std::size_t i = 0;
      AnyHead::for_each(params, [&](const std::string& name, Matrix<double>& x) { agrees(name, x, gradients[i++]); });
    }
}

TEST_CASE("backward adds to gradients that are already there") {
  for (const AnyHead& head : heads_of_every_kind(3)) {
    CAPTURE(std::string(head.name()));
    const Matrix<double> rows = random_matrix(3, width, 7);
    const std::vector<Index> slots = first_slots(3);
    const Keys<double> keys{rows_of(rows), slots};
    const auto params = random_params(head, 3, 5);
    AnyHead::Cache<double> cache;
    const RowVector<double> de = head.forward(params, keys, cache);
    auto once = params, twice = params;
    for (auto* gradient : {&once, &twice})
      AnyHead::for_each(*gradient, [](const std::string&, Matrix<double>& tensor) { tensor.setOnes(); });
    Matrix<double> dkeys = Matrix<double>::Ones(3, width), dkeys_twice = dkeys;
    head.backward(params, keys, cache, de, once, rows_of(dkeys));
    head.backward(params, keys, cache, de, twice, rows_of(dkeys_twice));
    head.backward(params, keys, cache, de, twice, rows_of(dkeys_twice));
    const auto doubled = [](const Matrix<double>& a, const Matrix<double>& b) {
      return ((a.array() - 1.0) * 2.0 - (b.array() - 1.0)).abs().maxCoeff() <= 1e-12 * (1.0 + b.cwiseAbs().maxCoeff());
    };
    CHECK(doubled(dkeys, dkeys_twice));  // rounding of one addition of 1
    std::vector<Matrix<double>> first;
    AnyHead::for_each(once, [&](const std::string&, Matrix<double>& tensor) { first.push_back(tensor); });
    std::size_t i = 0;
    AnyHead::for_each(twice, [&](const std::string& name, Matrix<double>& tensor) {
      CAPTURE(name);
      CHECK(doubled(first[i++], tensor));
    });
  }
}

TEST_CASE("heads that start as a pooling give the mean of the keys at step 0") {
  const Matrix<double> rows = random_matrix(5, width, 3);
  const std::vector<Index> slots = first_slots(5);
  const RowVector<double> mean = rows.colwise().mean();
  for (const AnyHead& head :
       {AnyHead(LayerMix{}), AnyHead(WeightedLayers{}), AnyHead(SingleQueryAttention{}), AnyHead(AdditiveAttention{}),
        AnyHead(CrossAttention{2, 3, true}), AnyHead(PerceiverHead{4, 2, 5, 0, true}), AnyHead(LatentAttention{4, 2, 5})}) {
    CAPTURE(std::string(head.name()));
    const auto params = head.init<double>(width, 5, 17);
    AnyHead::Cache<double> cache;
    const RowVector<double> e = head.forward(params, Keys<double>{rows_of(rows), slots}, cache);
    CHECK((e - mean).cwiseAbs().maxCoeff() < 1e-14);  // rounding of a mean of five values of size 1
  }
}

TEST_CASE("with one key the perceiver head's queries, keys' half and query norm get exactly zero gradient") {
  const PerceiverHead head{3, 2, 4, 0, false, Residual::latents};
  const Matrix<float> rows = random_matrix(1, width, 3).cast<float>();
  const std::vector<Index> slots{0};
  auto params = head.init<float>(width, 1, 5);
  PerceiverHead::Cache<float> cache;
  const Keys<float> keys{rows_of(rows), slots};
  const RowVector<float> e = head.forward(params, keys, cache);
  auto gradient = params;
  PerceiverHead::for_each(gradient, [](const std::string&, Matrix<float>& tensor) { tensor.setZero(); });
  Matrix<float> dkeys = Matrix<float>::Zero(1, width);
  head.backward(params, keys, cache, e, gradient, rows_of(dkeys));
  const Index inner = params.attend.to_q.rows();
  CHECK(gradient.attend.to_q.cwiseAbs().maxCoeff() == 0.0f);
  CHECK(gradient.attend.to_kv.topRows(inner).cwiseAbs().maxCoeff() == 0.0f);
  CHECK(gradient.attend.to_kv.bottomRows(inner).cwiseAbs().maxCoeff() > 0.0f);
  CHECK(gradient.attend.latent_gain.cwiseAbs().maxCoeff() == 0.0f);
}

TEST_CASE("in latent attention a token does not depend on the other tokens") {
  const LatentAttention head{4, 2, 3, 0, false};
  const Matrix<double> rows = random_matrix(6, width, 9);
  const std::vector<Index> slots(6, 0);
  const auto params = head.init<double>(width, 1, 1);
  LatentAttention::Cache<double> cache;
  const RowVector<double> all = head.forward(params, Keys<double>{rows_of(rows), slots}, cache);
  RowVector<double> one_by_one = RowVector<double>::Zero(width);
  for (Index k = 0; k < 6; ++k)
    one_by_one += head.forward(params, Keys<double>{rows_of(rows).middle_rows(k, 1), slots}, cache) / 6.0;
  CHECK((all - one_by_one).cwiseAbs().maxCoeff() < 1e-13);  // rounding of six sums
}

TEST_CASE("equal seeds give equal parameters and others do not") {
  const PerceiverHead head{2, 1, 3};
  CHECK(head.init<float>(width, 1, 4).attend.to_q == head.init<float>(width, 1, 4).attend.to_q);
  CHECK(head.init<float>(width, 1, 4).attend.to_q != head.init<float>(width, 1, 5).attend.to_q);
}

TEST_CASE("parameters that do not fit are refused by name") {
  const AnyHead mix = LayerMix{};
  CHECK_THROWS_WITH_AS(mix.check(mix.init<float>(width, 3), width, 4), doctest::Contains("scalars"), ShapeError);
  CHECK_THROWS_WITH_AS(mix.check(AnyHead(Identity{}).init<float>(width, 3), width, 3), doctest::Contains("identity"), ShapeError);
  const AnyHead perceiver = PerceiverHead{2, 2, 3};
  CHECK_THROWS_WITH_AS(perceiver.check(perceiver.init<float>(width + 1, 1), width, 1), doctest::Contains("latents"), ShapeError);
  // Products of no columns would leave the embedding as memory had it.
  const LatentAttention latent{2, 2, 3, 1};
  auto hollow = latent.init<float>(width, 1);
  hollow.feed_forward.w0.resize(0, width), hollow.feed_forward.b0.resize(1, 0), hollow.feed_forward.w2.resize(width, 0);
  CHECK_THROWS_WITH_AS(latent.check(hollow, width, 1), doctest::Contains("net.2"), ShapeError);
  CHECK_THROWS_WITH_AS(AnyHead::named("best"), doctest::Contains("layer-mix"), ShapeError);
  CHECK_THROWS_AS(AnyHead(Identity{}).check(AnyHead(Identity{}).init<float>(width, 2), width, 2), ShapeError);
}
