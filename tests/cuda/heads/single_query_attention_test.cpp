#include "embedpool/cuda/heads/single_query_attention.cuh"

#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/task_query_attention.cuh"

using namespace embedpool;

TEST_CASE("SingleQueryAttention on a device is the CPU's head") {
  test::check_device_head(SingleQueryAttention{}, {5});
  test::check_device_head(SingleQueryAttention{}, {67, 3, {3, 1}});
}

TEST_CASE("TaskQueryAttention on a device is the CPU's head, with prompts and without") {
  // A text of one key at an odd place has one of an odd kind: its own, without a prompt.
  test::check_device_head(TaskQueryAttention{}, {5, 4, {4, 1, 66, 3}});
  test::check_device_head(TaskQueryAttention{}, {67, 2, {2, 1}});
}
