#include <doctest/doctest.h>

#include <cstring>

#include "embedpool/cuda/cuda_error.hpp"
#include "embedpool/cuda/decoder/decoder_batch.cuh"
#include "embedpool/cuda/heads/head_sums.cuh"
#include "embedpool/cuda/host_device.hpp"

using namespace embedpool;

namespace {

/// Memory that hands out no more than so many bytes at once, full of what is no value of anything.
class LimitedMemory final : public std::pmr::memory_resource {
 public:
  std::size_t most = SIZE_MAX;

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    if (bytes > most) throw cuda::CudaError("allocate", "out of memory");
    void* const data = std::pmr::new_delete_resource()->allocate(bytes, alignment);
    std::memset(data, 0x5a, bytes);
    return data;
  }
  void do_deallocate(void* data, std::size_t bytes, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(data, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
};

DecoderConfig with_frequencies(std::vector<double> frequencies) {
  DecoderConfig config;
  config.vocabulary = 2;
  config.inverse_frequencies = std::move(frequencies);
  return config;
}

}  // namespace

TEST_CASE("sums are right after memory was refused for larger ones") {
  LimitedMemory memory;
  cuda::HostDevice device(cuda::RunOrder::rising, &memory);
  cuda::HeadSums sums;
  const std::vector<float> ones(900, 1.0f);
  const auto sum = [&](Index rows) {
    float total = 0;
    sums.add_columns(device, Rows<const float>(ones.data(), rows, 1), Rows<float>(&total, 1, 1));
    return total;
  };
  CHECK(sum(300) == 300);
  memory.most = 2000;
  CHECK_THROWS_AS(sum(900), cuda::CudaError);
  CHECK(sum(4) == 4);
  memory.most = SIZE_MAX;
  CHECK(sum(900) == 900);
}

TEST_CASE("rotary tables are those of the decoder and long enough, after memory was refused and for another decoder") {
  LimitedMemory memory;
  cuda::HostDevice device(cuda::RunOrder::rising, &memory);
  cuda::DeviceDecoderBatch batch_on_device;
  const DecoderConfig first = with_frequencies({1, 0.5}), second = with_frequencies({1, 0.25}), wider = with_frequencies({1, 0.5, 0.1});
  const auto upload = [&](const DecoderConfig& config, Index tokens) {
    Batch batch;
    batch.add(std::vector<TokenId>(static_cast<std::size_t>(tokens), 1));
    batch_on_device.upload(device, config, batch, RowSelection::all(batch.segments()));
  };
  const auto check = [&](const DecoderConfig& config, Index tokens) {
    CAPTURE(tokens);
    upload(config, tokens);
    const cuda::DeviceRotary rotary = batch_on_device.rotary(config);
    const RotaryTable<float> expected(config.inverse_frequencies, tokens);
    const auto size = static_cast<std::size_t>(tokens * expected.pairs());
    CHECK(std::equal(rotary.cosine, rotary.cosine + size, expected.cosine(0)));
    CHECK(std::equal(rotary.sine, rotary.sine + size, expected.sine(0)));
  };
  check(first, 8);
  memory.most = 3000;  // room for the ids, and not for the tables
  CHECK_THROWS_AS(upload(first, 500), cuda::CudaError);
  check(first, 8);
  memory.most = SIZE_MAX;
  check(first, 500);
  check(second, 8);
  check(wider, 500);
  check(first, 3);
}
