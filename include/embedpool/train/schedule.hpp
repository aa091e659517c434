#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// The share of the peak learning rate at a step, counted from 0: linear warmup, then linear or cosine decay to 0.
///
///   warmup  step / warmup                                   for step < warmup (so the first step has rate 0)
///   linear  (steps - step) / (steps - warmup)
///   cosine  (1 + cos(pi (step - warmup) / (steps - warmup))) / 2
///
/// Source  get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup of Hugging Face transformers
struct Schedule {
  enum class Decay { constant, linear, cosine };
  Decay decay = Decay::linear;
  Index warmup = 0;
  Index steps = 1;

  double operator()(Index step) const noexcept {
    if (step < warmup) return static_cast<double>(step) / static_cast<double>(std::max<Index>(1, warmup));
    const auto decaying = static_cast<double>(std::max<Index>(1, steps - warmup));
    switch (decay) {
      case Decay::constant: return 1.0;
      case Decay::linear: return std::max(0.0, static_cast<double>(steps - step) / decaying);
      case Decay::cosine: {
        const double done = std::min(1.0, static_cast<double>(step - warmup) / decaying);
        return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * done)));
      }
    }
    return 0.0;
  }
};

}  // namespace embedpool
