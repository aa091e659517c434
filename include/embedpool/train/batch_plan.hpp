#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/error.hpp"

namespace embedpool {

/// Whether a batch may hold examples of several groups (tasks, data sets), or of one alone, so that in-batch negatives
/// are never told apart by their kind.
enum class BatchMixing { mixed, one_group };

/// Which examples make the batch of each step: a function of the seed and the step, so that a run can go on anywhere.
///
/// Every epoch is a new shuffle that uses an example at most once. Batches are whole: what is left over of an epoch (of
/// each group, with one_group) waits for the next. With one_group a group has its share of batches by its size, and
/// batches of all groups are shuffled.
///
/// Errors  ShapeError when no batch can be made
class BatchPlan {
 public:
  /// `groups[i]` is the group of example i, numbered from 0.
  BatchPlan(std::vector<Index> groups, Index batch, std::uint64_t seed, BatchMixing mixing)
      : groups_(std::move(groups)), batch_(batch), seed_(seed), mixing_(mixing) {
    require_in("batch plan", "examples a batch", batch, 1, Index(1) << 24);
    if (mixing_ == BatchMixing::mixed) std::fill(groups_.begin(), groups_.end(), Index(0));
    for (const Index group : groups_) {
      require_in("batch plan", "group", group, 0, Index(1) << 24);
      if (group >= static_cast<Index>(sizes_.size())) sizes_.resize(static_cast<std::size_t>(group) + 1, 0);
      ++sizes_[static_cast<std::size_t>(group)];
    }
    for (const Index size : sizes_) batches_ += size / batch_;
    if (batches_ == 0)
      throw ShapeError("batch plan: " + std::to_string(groups_.size()) + " examples make no batch of " + std::to_string(batch_) +
                       (sizes_.size() > 1 ? ", no group of the " + std::to_string(sizes_.size()) + " has so many" : ""));
  }

  Index batches_per_epoch() const noexcept { return batches_; }
  /// Groups too small for a single batch: their examples are never used.
  std::vector<Index> unused_groups() const {
    std::vector<Index> unused;
    for (std::size_t group = 0; group < sizes_.size(); ++group)
      if (sizes_[group] > 0 && sizes_[group] < batch_) unused.push_back(static_cast<Index>(group));
    return unused;
  }

  /// The examples of a step, from 0; a reference until the next call. Errors: ShapeError for a step below 0.
  const std::vector<Index>& batch(Index step) {
    require_in("batch plan", "step", step, 0, std::numeric_limits<Index>::max());
    if (const Index epoch = step / batches_; epoch != epoch_) shuffle(epoch);
    return order_[static_cast<std::size_t>(step % batches_)];
  }

 private:
  void shuffle(Index epoch) {
    std::vector<std::vector<Index>> members(sizes_.size());
    for (std::size_t i = 0; i < groups_.size(); ++i)
      members[static_cast<std::size_t>(groups_[i])].push_back(static_cast<Index>(i));
    order_.clear();
    for (std::size_t group = 0; group < members.size(); ++group) {
      shuffle(members[group], random_key(seed_, epoch, group));
      for (Index first = 0; first + batch_ <= sizes_[group]; first += batch_)
        order_.emplace_back(members[group].begin() + first, members[group].begin() + first + batch_);
    }
    shuffle(order_, random_key(seed_, epoch, members.size()));
    epoch_ = epoch;
  }
  /// Fisher and Yates; the same on every machine, unlike std::shuffle.
  template <class T>
  static void shuffle(std::vector<T>& values, std::uint64_t key) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random_key(key, i) % i]);
  }

  std::vector<Index> groups_, sizes_;
  Index batch_;
  std::uint64_t seed_;
  BatchMixing mixing_;
  Index batches_ = 0;
  Index epoch_ = -1;
  std::vector<std::vector<Index>> order_;
};

}  // namespace embedpool
