#include <doctest/doctest.h>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/decoder/mixture_half.cuh"
#include "model/random_decoder.hpp"

using namespace embedpool;

namespace {

/// x after the feed-forward half of the first block, on the CPU and on the device, from the same x.
template <class T>
void check_half(test::TestDevice& device, const DecoderConfig& config, Index tokens, double bound) {
  CAPTURE(tokens);
  const Decoder<float> decoder = test::random_decoder<float>(config);
  const auto x = test::random_values<float>(tokens * config.width, 7);
  std::vector<float> expected = x;
  MixtureCache<float> cache;
  SerialExecutor executor;
  mixture_forward(decoder.weights().blocks[0].feed_forward,
                  FeedForwardShape<float>{config.activation, static_cast<float>(config.norm_epsilon), config.experts_per_token},
                  FullPrecision{}, Rows<float>(expected.data(), tokens, config.width), cache, executor);

  const cuda::DeviceDecoderWeights<T> weights(device, decoder);
  const test::OnDevice<float> stream(device, x, tokens, config.width);
  cuda::DeviceMixtureScratch<T> scratch;
  cuda::mixture_half_forward(device, weights.block(1), config, stream.rows(), scratch);
  CHECK(test::relative_error(stream.values(), expected) < bound);
}

}  // namespace

TEST_CASE_TEMPLATE("a half with experts on a device is that of the CPU", T, float, bf16, f16) {
  test::on_every_device([](test::TestDevice& device) {
    DecoderConfig config = test::small_config("mixtral");
    // Two products in a row, each of values that were rounded once, as are its weights: six roundings that may all fall
    // the same way; in float the sums of up to 54 values.
    const double bound = 6 * test::rounding<T> + 60 * test::rounding<float>;
    for (const Index tokens : {1, 2, 97}) check_half<T>(device, config, tokens, bound);
    config.width = 40;  // a multiple of 8, for tensor cores
    config.feed_forward_width = 72;
    check_half<T>(device, config, 97, bound);
    config.experts_per_token = config.experts;
    check_half<T>(device, config, 33, bound);
  });
}
