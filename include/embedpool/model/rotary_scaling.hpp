#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "embedpool/core/types.hpp"

namespace embedpool {

/// How a model stretches its rotary frequencies beyond the text lengths it was first trained on.
///
/// The names are those of `rope_scaling.rope_type` in Hugging Face configurations:
///   none     f_i
///   linear   f_i / factor
///   llama3   long waves f_i / factor, short waves f_i, a straight blend between: with w = 2 pi / f_i, original length P,
///            f_i if w < P / high, f_i / factor if w > P / low, else (1 - s) f_i / factor + s f_i, s = (P/w - low) / (high - low)
///   yarn     the blend is straight in the index i, between the indices that turn beta_fast and beta_slow times within P;
///            cos and sin are multiplied by an amplitude (arXiv 2309.00071)
enum class RotaryScalingKind { none, linear, llama3, yarn };

/// One kind with its numbers; each kind reads only its own.
struct RotaryScaling {
  RotaryScalingKind kind = RotaryScalingKind::none;
  double factor = 1;
  double original_positions = 0;  ///< P above (llama3, yarn)
  double low_frequency_factor = 1, high_frequency_factor = 4;  ///< llama3
  double beta_fast = 32, beta_slow = 1;                        ///< yarn
  bool whole_indices = true;  ///< yarn: the blend begins and ends at whole indices
  double amplitude = 1;       ///< yarn: factor on cos and sin
};

/// YaRN's default amplitude for a stretch by `factor`: 1 + multiplier ln(factor) / 10, and 1 for no stretch.
inline double yarn_amplitude(double factor, double multiplier = 1) noexcept {
  return factor <= 1 ? 1.0 : 0.1 * multiplier * std::log(factor) + 1.0;
}

namespace detail {

inline double llama3_frequency(double frequency, const RotaryScaling& scaling) noexcept {
  const double turns = scaling.original_positions * frequency / (2 * std::numbers::pi);  // P / w
  if (turns > scaling.high_frequency_factor) return frequency;
  if (turns < scaling.low_frequency_factor) return frequency / scaling.factor;
  const double share = (turns - scaling.low_frequency_factor) / (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return (1 - share) * frequency / scaling.factor + share * frequency;
}

/// The (fractional) index whose wave turns `turns` times within the original length.
inline double yarn_index(double turns, double theta, double dimensions, const RotaryScaling& scaling) noexcept {
  return dimensions * std::log(scaling.original_positions / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

inline double yarn_frequency(double frequency, double index, double theta, double dimensions,
                             const RotaryScaling& scaling) noexcept {
  double low = yarn_index(scaling.beta_fast, theta, dimensions, scaling);
  double high = yarn_index(scaling.beta_slow, theta, dimensions, scaling);
  if (scaling.whole_indices) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, dimensions - 1);
  if (low == high) high += 0.001;  // as the published code avoids the division by zero
  const double stretched = std::clamp((index - low) / (high - low), 0.0, 1.0);
  return stretched * frequency / scaling.factor + (1 - stretched) * frequency;
}

}  // namespace detail

/// The frequencies of a rotary embedding: f_i = theta^(-2 i / dimensions) for i in [0, dimensions / 2), then scaled.
///
/// Pair i of a head at position p turns by the angle p f_i.
/// Requires  dimensions even, theta > 1, the numbers of `scaling` positive (checked where configurations are read)
/// Source    arXiv 2104.09864; scaling as `modeling_rope_utils` of Hugging Face transformers computes it
inline std::vector<double> rotary_frequencies(double theta, Index dimensions, const RotaryScaling& scaling = {}) {
  std::vector<double> frequencies;
  for (Index i = 0; 2 * i < dimensions; ++i) {
    const double plain = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dimensions));
    switch (scaling.kind) {
      case RotaryScalingKind::none: frequencies.push_back(plain); break;
      case RotaryScalingKind::linear: frequencies.push_back(plain / scaling.factor); break;
      case RotaryScalingKind::llama3: frequencies.push_back(detail::llama3_frequency(plain, scaling)); break;
      case RotaryScalingKind::yarn:
        frequencies.push_back(detail::yarn_frequency(plain, static_cast<double>(i), theta,
                                                     static_cast<double>(dimensions), scaling));
        break;
    }
  }
  return frequencies;
}

}  // namespace embedpool
