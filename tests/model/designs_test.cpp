#include "embedpool/model/designs.hpp"

#include <doctest/doctest.h>

#include "model/random_decoder.hpp"

using namespace embedpool;

namespace {

template <class Design>
Design make_design(const Decoder<float>& decoder) {
  const typename Design::Pooling pooling;
  auto params = pooling.head.template init<float>(decoder.width(), pooling.slots(decoder.layers()), 3);
  return Design(decoder, std::move(params), pooling);
}

/// Cross-attention needs a width that its heads divide.
DecoderConfig config() {
  DecoderConfig config = test::small_config("llama");
  config.width = 40;
  return config;
}

}  // namespace

TEST_CASE("the designs are the masks and poolings of the paper") {
  static_assert(std::is_same_v<Design1<>::Mask, Causal> && std::is_same_v<Design2<>::Mask, Causal> &&
                std::is_same_v<Design3<>::Mask, Causal>);
  static_assert(std::is_same_v<Design4<>::Mask, Bidirectional> && std::is_same_v<Design5<>::Mask, Bidirectional>);
  static_assert(std::is_same_v<Design3<>::Pooling::Tokens, LastToken> && std::is_same_v<Design5<>::Pooling::Tokens, TokenMean>);
  static_assert(std::is_same_v<Design2<>::Pooling, Design4<>::Pooling>);
  static_assert(std::is_same_v<Design1<double>::Scalar, double>);
  CHECK(Design3<>::Pooling{}.head.layer_table);
  CHECK(Design5<>::Pooling{}.head.layer_table);
  CHECK(!Design2<>::Pooling{}.head.layer_table);
}

TEST_CASE_TEMPLATE("a design embeds texts as finite unit vectors that tell texts apart", Design, Design1<>, Design2<>,
                   Design3<>, Design4<>, Design5<>) {
  const auto decoder = test::random_decoder<float>(config());
  const auto texts = test::random_texts(decoder.config().vocabulary);
  const Matrix<float> embeddings = make_design<Design>(decoder).encode(test::batch_of(texts));
  CHECK(embeddings.rows() == static_cast<Index>(texts.size()));
  CHECK(embeddings.cols() == decoder.width());
  for (Index b = 0; b < embeddings.rows(); ++b) {
    CHECK(embeddings.row(b).norm() == doctest::Approx(1).epsilon(1e-6));
    for (Index other = 0; other < b; ++other) CHECK(embeddings.row(b) != embeddings.row(other));
  }
}

TEST_CASE("an untrained head starts as the pooling that it refines") {
  const auto decoder = test::random_decoder<float>(config());
  const Batch batch = test::batch_of(test::random_texts(61));
  const auto close = [](const Matrix<float>& a, const Matrix<float>& b) {
    return (a - b).cwiseAbs().maxCoeff() < 1e-6;  // the same mean, summed in another order
  };
  const Matrix<float> mean = Embedder<Decoder<float>, Bidirectional, MeanPooling>(decoder).encode(batch);
  CHECK(close(make_design<Design4<>>(decoder).encode(batch), mean));
}
