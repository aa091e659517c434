#pragma once
#include <algorithm>
#include <numeric>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/types.hpp"

namespace embedpool::detail {

/// The seed of all samples of items: one, so that everybody compares on the same ones.
inline constexpr std::uint64_t item_sample_seed = 42;

/// 0 .. count - 1 in a random order: by random bits of the seed and the number itself, so that the order is the same on
/// every machine and that of fewer items is what is left of that of more.
inline std::vector<Index> random_order(Index count) {
  std::vector<std::pair<std::uint64_t, Index>> keys;
  for (Index i = 0; i < count; ++i) keys.emplace_back(random_key(item_sample_seed, i), i);
  std::sort(keys.begin(), keys.end());
  std::vector<Index> order;
  for (const auto& key : keys) order.push_back(key.second);
  return order;
}

/// The first `count` of an order, as rising numbers.
inline std::vector<Index> first_of(std::vector<Index> order, Index count) {
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  std::sort(order.begin(), order.end());
  return order;
}

/// `count` items by random order. The first item of each label goes before all others, so that no label is lost while
/// there are as many places: where all labels are among the first `count` anyhow, this changes nothing.
///
/// Shapes  labels [n] -> min(count, n) rising numbers of [0, n)
template <class Label>
std::vector<Index> items_of_every_label(std::span<const Label> labels, Index count) {
  std::vector<Index> order = random_order(static_cast<Index>(labels.size()));
  std::unordered_set<Label> seen;
  std::stable_partition(order.begin(), order.end(),
                        [&](Index i) { return seen.insert(labels[static_cast<std::size_t>(i)]).second; });
  return first_of(std::move(order), count);
}

/// Those elements.
template <class T>
std::vector<T> elements_at(std::vector<T> values, std::span<const Index> chosen) {
  std::vector<T> elements;
  elements.reserve(chosen.size());
  for (const Index i : chosen) elements.push_back(std::move(values[static_cast<std::size_t>(i)]));
  return elements;
}

}  // namespace embedpool::detail
