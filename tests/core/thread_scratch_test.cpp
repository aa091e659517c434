#include "embedpool/core/thread_scratch.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace embedpool;
using Scratch = ThreadScratch<std::vector<int>>;

TEST_CASE("a thread that holds scratch gets other scratch, and what it gave back again") {
  const std::vector<int>*first = nullptr, *second = nullptr;
  {
    const Scratch outer;
    outer->assign(1000, 7);
    first = &*outer;
    const Scratch inner;
    second = &*inner;
    CHECK(second != first);
  }
  const Scratch again, another;
  CHECK(&*again == first);  // given back last
  CHECK(again->capacity() >= 1000);
  CHECK(&*another == second);
}

TEST_CASE("scratch moves with its contents, and no two threads share it") {
  Scratch a;
  a->assign(3, 1);
  const std::vector<int>* const held = &*a;
  Scratch b = std::move(a);
  CHECK(&*b == held);
  Scratch c;
  c = std::move(b);
  CHECK(&*c == held);
  const std::vector<int>* of_thread = held;
  std::thread([&] { of_thread = &*Scratch(); }).join();
  CHECK(of_thread != held);
}
