#include <doctest/doctest.h>

#include "embedpool/eval/learn/few_shot_sample.hpp"
#include "embedpool/eval/learn/mersenne_twister.hpp"
#include "embedpool/eval/learn/python_sample.hpp"

using namespace embedpool;

// Recorded from NumPy 2.4 (RandomState, whose streams are frozen) and CPython 3.11 (random.Random).

TEST_CASE("the generator gives NumPy's words, integers, reals and shuffles") {
  MersenneTwister random(42);
  std::vector<Index> order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  random.shuffle(order);
  CHECK(order == std::vector<Index>{8, 1, 5, 0, 7, 2, 9, 4, 3, 6});
  std::vector<Index> integers;
  for (int i = 0; i < 5; ++i) integers.push_back(random.bounded(999));
  CHECK(integers == std::vector<Index>{466, 214, 330, 458, 87});
  CHECK(random.uniform() == doctest::Approx(0.33370861).epsilon(1e-7));  // printed with 8 digits
  CHECK(random.uniform() == doctest::Approx(0.14286682).epsilon(1e-7));
  CHECK(random.bounded(0) == 0);
}

TEST_CASE("the default seed of the standard's own generator gives its 10,000th word") {
  MersenneTwister random(5489);
  for (int i = 1; i < 10000; ++i) random.word();
  CHECK(random.word() == 4123659995u);  // ISO C++, [rand.predef]
}

TEST_CASE("samples and choices are Python's, from a list as from a set") {
  MersenneTwister random = MersenneTwister::python(42);
  CHECK(python_sample(random, 100, 10) == std::vector<Index>{81, 14, 3, 94, 35, 31, 28, 17, 13, 86});
  auto sixty = python_sample(random, 100, 60);
  CHECK(sixty.size() == 60);
  sixty.resize(5);
  CHECK(sixty == std::vector<Index>{94, 69, 11, 75, 54});
  CHECK(python_choices(random, 50, 5) == std::vector<Index>{43, 19, 22, 41, 8});
  CHECK_THROWS_AS(python_sample(random, 3, 4), ShapeError);
}

TEST_CASE("samples are Python's on both sides of the size from which it keeps a set") {
  MersenneTwister random = MersenneTwister::python(42);
  CHECK(python_sample(random, 21, 5) == std::vector<Index>{20, 3, 0, 8, 7});
  CHECK(python_sample(random, 21, 5) == std::vector<Index>{7, 4, 3, 17, 2});
  CHECK(python_sample(random, 21, 5) == std::vector<Index>{18, 13, 1, 0, 2});
  CHECK(python_sample(random, 21, 5) == std::vector<Index>{6, 7, 16, 0, 20});
  CHECK(python_sample(random, 21, 5) == std::vector<Index>{20, 17, 13, 7, 14});
  CHECK(python_sample(random, 21, 5) == std::vector<Index>{18, 8, 0, 5, 13});
  CHECK(python_sample(random, 22, 5) == std::vector<Index>{10, 8, 4, 6, 3});
  CHECK(python_sample(random, 22, 5) == std::vector<Index>{2, 12, 3, 11, 19});
  CHECK(python_sample(random, 30, 6) == std::vector<Index>{8, 25, 1, 23, 14, 17});
  CHECK(python_sample(random, 86, 6) == std::vector<Index>{15, 48, 10, 70, 37, 80});
}

TEST_CASE("few-shot rounds repeat one permutation, each on the order that the round before left") {
  const std::vector<Index> labels = {0, 1, 0, 1, 0, 1, 0, 1, 2, 0};
  FewShotSampler sampler(labels, 2);
  // The permutation of ten by seed 42 is that of the first test: 8 1 5 0 7 2 9 4 3 6, whose labels are 2 1 1 0 1 0 0 0 1 0.
  CHECK(sampler.next() == std::vector<Index>{8, 1, 5, 0, 2});
  // Applied to itself: positions 8 1 5 0 7 2 9 4 3 6 of it hold 3 1 2 8 4 5 6 7 0 9.
  CHECK(sampler.next() == std::vector<Index>{3, 1, 2, 8, 4});
}
