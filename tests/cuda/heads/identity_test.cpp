#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/concatenate.cuh"
#include "embedpool/cuda/heads/identity.cuh"

using namespace embedpool;

TEST_CASE("Identity on a device is the CPU's head") {
  for (const Index width : {1, 12, 67}) test::check_device_head(Identity{}, {width, 1, {1, 1, 1}});
}

TEST_CASE("Concatenate on a device is the CPU's head") {
  for (const Index width : {1, 12, 67}) test::check_device_head(Concatenate{{}, 3}, {width, 3, {3, 3, 3, 3}});
}

TEST_CASE("Identity and Concatenate on a device refuse texts with another number of keys, and embeddings that do not fit") {
  test::on_every_device([](test::TestDevice& device) {
    std::vector<float> values(64);
    const test::OnDevice<float> rows(device, values, 4, 16);
    const cuda::DeviceKeys two{rows.rows(), nullptr, nullptr, 2, 2, 2};
    cuda::DeviceHead<Identity, test::TestDevice> identity(device, Identity{}, {});
    CHECK_THROWS_AS(identity.forward(device, two, rows.rows().middle_rows(0, 2)), ShapeError);
    cuda::DeviceHead<Concatenate, test::TestDevice> concatenate(device, Concatenate{{}, 3}, {});
    CHECK_THROWS_AS(concatenate.forward(device, two, rows.rows().middle_rows(0, 2)), ShapeError);
  });
}
