#pragma once
#include <numeric>
#include <span>
#include <vector>

#include "embedpool/eval/learn/mersenne_twister.hpp"

namespace embedpool {

/// The training samples of MTEB's classification rounds: a list of all indices is shuffled, and of each label its first
/// `samples_per_label` are taken, in the order of the list. The next round shuffles the list as it lies.
///
/// Every round starts the generator from the seed again, so its permutation is the same one each time, applied to the
/// order that the round before left: MTEB does so by RandomState(seed) in each round (version 2), and in version 1 by
/// seeding NumPy's global generator whenever an evaluator is made, where the first round alone depends on what ran before.
/// Labels with fewer samples give all they have.
class FewShotSampler {
 public:
  FewShotSampler(std::span<const Index> labels, Index samples_per_label, std::uint32_t seed = 42)
      : labels_(labels.begin(), labels.end()), samples_per_label_(samples_per_label), seed_(seed), order_(labels.size()) {
    std::iota(order_.begin(), order_.end(), Index(0));
  }

  /// The indices of the next round.
  std::vector<Index> next() {
    MersenneTwister(seed_).shuffle(order_);
    std::vector<Index> taken, chosen;
    for (const Index i : order_) {
      const auto label = static_cast<std::size_t>(labels_[static_cast<std::size_t>(i)]);
      if (taken.size() <= label) taken.resize(label + 1);
      if (taken[label] == samples_per_label_) continue;
      ++taken[label];
      chosen.push_back(i);
    }
    return chosen;
  }

 private:
  std::vector<Index> labels_;  ///< from 0
  Index samples_per_label_;
  std::uint32_t seed_;
  std::vector<Index> order_;
};

}  // namespace embedpool
