#include "embedpool/cuda/heads/single_query_attention.cuh"

#include "cuda/heads/device_head_case.hpp"
#include "embedpool/cuda/heads/task_query_attention.cuh"

using namespace embedpool;

TEST_CASE("SingleQueryAttention on a device is the CPU's head") {
  for (const Index width : {1, 12, 131}) test::check_device_head(SingleQueryAttention{}, {width});
}

TEST_CASE("TaskQueryAttention on a device is the CPU's head, with prompts and without") {
  // Texts of one key begin with a kind of the text's own: those at odd places.
  for (const Index width : {3, 12, 131}) test::check_device_head(TaskQueryAttention{}, {width, 4, {4, 1, 70, 3, 5, 1}});
}
