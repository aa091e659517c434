#include <doctest/doctest.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "embedpool/pooling/any_head.hpp"
#include "embedpool/pooling/any_layers.hpp"
#include "embedpool/pooling/any_tokens.hpp"
#include "embedpool/testing/pooling_properties.hpp"

using namespace embedpool;

namespace {

using AnyPooling = Pooling<AnyLayers, AnyTokens, AnyHead>;

/// Every head behind the readers that it is for, with few and with many keys.
std::vector<AnyPooling> poolings() {
  std::vector<AnyPooling> all{{AnyLayers::parse("last"), AnyTokens::parse("last"), Identity{}},
                              {AnyLayers::parse("last"), AnyTokens::parse("last,mean"), Concatenate{{}, 2}},
                              {AnyLayers::parse("all"), AnyTokens::parse("last@prompt,mean@text"), TaskQueryAttention{}},
                              {AnyLayers::parse("last"), AnyTokens::parse("all@prompt,all@text"), TaskQueryAttention{}}};
  const std::vector<AnyHead> heads{LayerMean{true},
                                   LayerMix{true},
                                   WeightedLayers{},
                                   SingleQueryAttention{},
                                   AdditiveAttention{},
                                   LayerAttention{0},
                                   LayerAttention{3},
                                   CrossAttention{2, 3, true, CrossAttention::Start::paper},
                                   CrossAttention{1, 3, false},
                                   PerceiverHead{12, 2, 5, 7, true, Residual::latents},
                                   PerceiverHead{2, 1, 4, 0, false, Residual::pooled},
                                   LatentAttention{5, 2, 3, 7}};
  for (const AnyHead& head : heads)
    for (const auto& [layers, tokens] : {std::pair("last", "all"), std::pair("last", "last"), std::pair("all", "mean"),
                                         std::pair("all", "last,mean@text")})
      all.push_back({AnyLayers::parse(layers), AnyTokens::parse(tokens), head});
  return all;
}

constexpr testing::ProblemSize size{.layers = 3, .width = 9, .seed = 1};

}  // namespace

TEST_CASE("behind every head a text's embedding does not depend on batch, padding, workers, or how layers came") {
  for (const AnyPooling& pooling : poolings()) {
    CAPTURE(std::string(pooling.head.name()));
    CAPTURE(pooling.tokens.to_string());
    CHECK(testing::batch_does_not_matter<float>(pooling, size) == "");
    CHECK(testing::padding_is_never_read<float>(pooling, size) == "");
    CHECK(testing::workers_do_not_matter<double>(pooling, size) == "");
    CHECK(testing::streaming_equals_storing<double>(pooling, size) == "");
  }
}

#ifdef _OPENMP
TEST_CASE("how many threads Eigen may use changes no bit of an embedding or a gradient") {
  // Large enough for Eigen to share products among threads, with an inner dimension that it then cuts elsewhere.
  const AnyPooling pooling{AnyLayers::parse("last"), AnyTokens::parse("all"),
                           PerceiverHead{64, 1, 64, 300, false, Residual::latents}};
  const Index width = 300;
  Segments segments;
  segments.add(TextShape::bare(30));
  const auto states = testing::HiddenStates<float>::random(segments, 1, width, 3);
  const auto params = pooling.head.init<float>(width, 1, 5);
  const auto run_with = [&](int threads, KeepForBackward keep) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    SerialExecutor executor;
    auto stream = pooling.stream<float>(params, segments, 1, width, executor, nullptr, keep);
    stream.push(1, states.layer(1));
    std::vector<Matrix<float>> results{stream.finish()};
    if (keep == KeepForBackward::yes) {
      auto gradient = params;
      AnyHead::for_each(gradient, [](const std::string&, Matrix<float>& tensor) { tensor.setZero(); });
      const Matrix<float> de = results.front();
      stream.backward(rows_of(de), gradient, executor);
      AnyHead::for_each(gradient, [&](const std::string&, Matrix<float>& tensor) { results.push_back(tensor); });
    }
    CHECK(omp_get_max_threads() == threads);  // left as it was
    omp_set_num_threads(before);
    return results;
  };
  for (const KeepForBackward keep : {KeepForBackward::no, KeepForBackward::yes}) {
    const auto one = run_with(1, keep), four = run_with(4, keep);
    for (std::size_t i = 0; i < one.size(); ++i) {
      const bool same = one[i] == four[i];
      CAPTURE(i);
      CHECK(same);
    }
  }
}
#endif
