#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "embedpool/core/counter_random.hpp"
#include "embedpool/core/layer_states.hpp"
#include "embedpool/kernels/norm.hpp"

namespace embedpool {

/// Which values a training step drops: value j of a row is dropped by a coin of its own, which depends on (seed, step,
/// place, text, token, j) alone. So any part of a batch can be computed again with the same coins.
struct DropoutKey {
  double rate = 0;         ///< probability of a zero, in [0, 1); 0: no dropout
  std::uint64_t seed = 0;
  Index step = 0;
  Index first_text = 0;    ///< number of the batch's first text among those of the step: a part of a batch has an offset
};

/// The coins of one batch: a key for each packed row.
class Dropout {
 public:
  Dropout() = default;
  Dropout(const DropoutKey& key, const Segments& segments, const RowSelection& selection)
      : rate_(key.rate), seed_(random_key(key.seed, key.step)) {
    if (rate_ <= 0) return;
    for (Index b = 0; b < segments.size(); ++b)
      for (Index t = selection.held(b).begin; t < selection.held(b).end; ++t)
        rows_.push_back(random_key(seed_, key.first_text + b, t));
  }
  bool active() const noexcept { return rate_ > 0; }

  /// out = x with dropped values 0 and the others divided by 1 - rate, at the place numbered `place`.
  template <Real S, Executor E>
  void forward(Index place, Rows<const S> x, Rows<S> out, E& executor) const {
    each(place, x, out, executor, [](S, S value) { return value; });
  }
  /// dx += the gradient through forward, given that of its output.
  template <Real S, Executor E>
  void backward(Index place, Rows<const S> dy, Rows<S> dx, E& executor) const {
    each(place, dy, dx, executor, [](S before, S value) { return before + value; });
  }

 private:
  template <Real S, Executor E, class Write>
  void each(Index place, Rows<const S> x, Rows<S> out, E& executor, const Write& write) const {
    const double coins = std::ldexp(1.0, 31);  // coins have 31 bits, so that a signed comparison does
    const auto least = static_cast<std::int32_t>(std::min(std::round(rate_ * coins), coins - 1));
    const S kept = static_cast<S>(1.0 / (1.0 - rate_));
    for_each_row(x.rows, executor, [&](Index i) {
      constexpr Index block = 64;  // coins first, values then: loops that compilers turn into registers
      const std::uint64_t key = random_key(rows_[static_cast<std::size_t>(i)], place);
      for (Index first = 0; first < x.cols; first += block) {
        S factor[block];
        const auto counter = static_cast<std::uint32_t>(first);
        for (std::uint32_t c = 0; c < block; ++c) {
          const auto coin = static_cast<std::int32_t>(random_word(key, counter + c) >> 1);
          factor[c] = coin >= least ? kept : S(0);
        }
        const S* from = x.row_data(i) + first;
        S* to = out.row_data(i) + first;
        const Index count = std::min(block, x.cols - first);
        for (Index c = 0; c < count; ++c) to[c] = write(to[c], factor[c] * from[c]);
      }
    });
  }

  double rate_ = 0;
  std::uint64_t seed_ = 0;
  std::vector<std::uint64_t> rows_;
};

}  // namespace embedpool
