#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/embedding_gather.cuh"

using namespace embedpool;

TEST_CASE_TEMPLATE("EmbeddingGather gives every token its scaled row of the table", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    const std::vector<TokenId> ids{4, 0, 4, 2, 1};
    const auto tokens = static_cast<Index>(ids.size());
    for (const Index width : {1, 257, 1024}) {
      CAPTURE(width);
      const auto table = test::random_elements<T>(5 * width, 1);
      std::vector<float> expected;
      for (const TokenId id : ids)
        for (Index j = 0; j < width; ++j)
          expected.push_back(cuda::widened(table[static_cast<std::size_t>(id * width + j)]) * 1.7f);
      const test::OnDevice<T> stored(device, table, 5, width);
      const test::OnDevice<TokenId> tokens_of(device, ids);
      const test::OnDevice<float> out(device, std::vector<float>(expected.size()), tokens, width);
      device.launch(cuda::EmbeddingGather<T>{stored.rows(), tokens_of.data(), 1.7f, out.rows()});
      CHECK(out.values() == expected);
    }
  });
}
