#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "cuda/on_device.hpp"
#include "embedpool/cuda/kernels/experts/expert_places.cuh"
#include "embedpool/nn/mixture_of_experts.hpp"

using namespace embedpool;

namespace {

/// What the kernels made of the logits of some tokens.
struct Routed {
  std::vector<std::int32_t> expert, first, place, slot;
  std::vector<float> weight;
};

Routed route(test::TestDevice& device, const std::vector<float>& logits, Index experts, Index per_token) {
  const Index tokens = static_cast<Index>(logits.size()) / experts;
  const auto numbers = [&](Index count) {
    return test::OnDevice<std::int32_t>(device, std::vector<std::int32_t>(static_cast<std::size_t>(count), -1));
  };
  const test::OnDevice<float> in(device, logits, tokens, experts);
  const test::OnDevice<float> weight(device, std::vector<float>(static_cast<std::size_t>(tokens * per_token)));
  const auto expert = numbers(tokens * per_token), first = numbers(experts + 1), place = numbers(tokens * per_token),
             slot = numbers(tokens * per_token);
  const cuda::DeviceRouting routing{tokens, per_token, expert.data(), weight.data()};
  device.launch(cuda::RouteTokens{in.rows(), routing});
  device.launch(cuda::OrderPlaces{routing, {experts, first.data(), place.data(), slot.data()}});
  return {expert.values(), first.values(), place.values(), slot.values(), weight.values()};
}

/// Small whole numbers, so that many are equal.
std::vector<float> logits_with_ties(Index tokens, Index experts) {
  std::vector<float> logits = test::random_values<float>(tokens * experts, static_cast<unsigned>(experts));
  for (float& value : logits) value = std::round(2 * value);
  return logits;
}

constexpr Index tokens = 10;  // several blocks, the last not full
constexpr Index expert_counts[] = {1, 2, 33, 70};

std::set<Index> counts_per_token(Index experts) { return {1, std::min<Index>(experts, 3), experts}; }

}  // namespace

TEST_CASE("a token's experts on a device are those of the CPU, the first of equal ones, in rising order") {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index experts : expert_counts)
      for (const Index per_token : counts_per_token(experts)) {
        CAPTURE(experts);
        CAPTURE(per_token);
        const auto logits = logits_with_ties(tokens, experts);
        std::vector<Index> expert(static_cast<std::size_t>(per_token));
        std::vector<float> weight(expert.size()), got, expected;
        const Routed routed = route(device, logits, experts, per_token);
        bool same = true;
        for (Index t = 0; t < tokens; ++t) {
          route_token<float>(std::span(logits).subspan(static_cast<std::size_t>(t * experts), static_cast<std::size_t>(experts)),
                             expert, weight);
          same = same && std::equal(expert.begin(), expert.end(), routed.expert.begin() + t * per_token);
          expected.insert(expected.end(), weight.begin(), weight.end());
        }
        CHECK(same);
        // Exponentials of two libraries, a sum in the same order and a division: a few roundings.
        CHECK(test::relative_error(routed.weight, expected) < 8 * test::rounding<float>);
      }
  });
}

TEST_CASE("slots hold every place once, expert by expert, in order") {
  test::on_every_device([](test::TestDevice& device) {
    for (const Index experts : expert_counts)
      for (const Index per_token : counts_per_token(experts)) {
        CAPTURE(experts);
        CAPTURE(per_token);
        const Routed routed = route(device, logits_with_ties(tokens, experts), experts, per_token);
        std::vector<std::int32_t> place(routed.expert.size()), first{0}, slot(place.size());
        std::iota(place.begin(), place.end(), 0);
        const auto expert = [&](std::int32_t i) { return routed.expert[static_cast<std::size_t>(i)]; };
        std::stable_sort(place.begin(), place.end(), [&](auto a, auto b) { return expert(a) < expert(b); });
        for (Index e = 0; e < experts; ++e)
          first.push_back(first.back() + static_cast<std::int32_t>(std::count(routed.expert.begin(), routed.expert.end(), e)));
        for (std::size_t s = 0; s < place.size(); ++s) slot[static_cast<std::size_t>(place[s])] = static_cast<std::int32_t>(s);
        CHECK(routed.place == place);
        CHECK(routed.first == first);
        CHECK(routed.slot == slot);
      }
  });
}

TEST_CASE("logits that are no numbers choose experts that there are, and infinite ones are numbers") {
  test::on_every_device([](test::TestDevice& device) {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    const Routed routed = route(device, {nan, nan, nan, nan, 1, nan, -infinity, 2, -infinity}, 3, 2);
    for (const std::int32_t expert : routed.expert) CHECK((expert >= 0 && expert < 3));
    for (int i = 0; i < 4; ++i) CHECK(std::isnan(routed.weight[static_cast<std::size_t>(i)]));
    CHECK(routed.expert[4] == 0);
    CHECK(routed.weight[4] == 0);
    CHECK(routed.expert[5] == 1);
    CHECK(routed.weight[5] == 1);
  });
}
