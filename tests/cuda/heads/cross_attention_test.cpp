#include "embedpool/cuda/heads/cross_attention.cuh"

#include "cuda/heads/device_head_case.hpp"

using namespace embedpool;

TEST_CASE("CrossAttention on a device is the CPU's head, in every variant") {
  for (const auto start : {CrossAttention::Start::pooling, CrossAttention::Start::paper})
    for (const bool table : {false, true})
      for (const Index queries : {1, 3}) {
        CAPTURE(table);
        CAPTURE(queries);
        test::check_device_head(CrossAttention{queries, 3, table, start}, {12, 3, {3, 1, 2}});
      }
  test::check_device_head(CrossAttention{2, 3, true}, {12});
  test::check_device_head(CrossAttention{1, 1, true}, {67, 2, {2, 1}});
}

TEST_CASE("LayerTableAttention on a device is the CPU's head") {
  LayerTableAttention head;
  head.heads = 4;
  test::check_device_head(head, {12, 5, {5, 5, 5}});
}
