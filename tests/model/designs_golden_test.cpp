#include "embedpool/model/embedder.hpp"
#include "model/golden_designs.hpp"

using namespace embedpool;

namespace {

Matrix<float> run_design(Index design, const Decoder<float>& decoder, const std::string& model, const Batch& batch) {
  Matrix<float> embeddings;
  test::with_design<float>(design, model, decoder.width(), [&](auto mask, auto pooling, const auto& params) {
    using Model = Embedder<Decoder<float>, decltype(mask), decltype(pooling)>;
    embeddings = Model(decoder, params, pooling, mask).encode(batch);
  });
  return embeddings;
}

}  // namespace

TEST_CASE("the five designs, plain and with adapters merged, agree with their float64 references") {
  test::check_golden_designs(run_design);
}
