#pragma once
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
    const auto least = static_cast<std::uint32_t>(std::lround(std::ldexp(rate_, 31)));  // of 31 bits: no overflow
    const S kept = static_cast<S>(1.0 / (1.0 - rate_));
    for_each_row(x.rows, executor, [&](Index i) {
      const std::uint64_t key = random_key(rows_[static_cast<std::size_t>(i)], place);
      const S* from = x.row_data(i);
      S* to = out.row_data(i);
      for (Index j = 0; j < x.cols; ++j) {
        const bool keep = (random_word(key, static_cast<std::uint32_t>(j)) >> 1) >= least;
        to[j] = write(to[j], keep ? kept * from[j] : S(0));
      }
    });
  }

  double rate_ = 0;
  std::uint64_t seed_ = 0;
  std::vector<std::uint64_t> rows_;
};

}  // namespace embedpool
