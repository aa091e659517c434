#pragma once
#include <string>

#include "embedpool/io/json.hpp"
#include "embedpool/model/rotary_scaling.hpp"

namespace embedpool::io {

/// Base and scaling of the rotary embedding that a Hugging Face config.json describes.
struct HuggingFaceRotary {
  double theta = 10000;
  RotaryScaling scaling{};
};

namespace detail {

inline double positive(const JsonObject& object, std::string_view key) {
  const double value = object.number(key);
  if (!(value > 0)) object.fail(key, "must be positive, got " + std::to_string(value));
  return value;
}
inline double positive_or(const JsonObject& object, std::string_view key, double otherwise) {
  return object.has(key) ? positive(object, key) : otherwise;
}

/// The length that a model was first trained on: a number beside the rotary settings counts before one in them, and the
/// model's length stands for both.
inline double original_positions(const JsonObject& rope, const JsonObject& config) {
  const std::string_view key = "original_max_position_embeddings";
  if (config.has(key)) return positive(config, key);
  return rope.has(key) ? positive(rope, key) : positive(config, "max_position_embeddings");
}

/// The numbers of one kind of scaling.
inline RotaryScaling read_rotary_scaling(const JsonObject& rope, const JsonObject& config, const std::string& kind) {
  RotaryScaling scaling;
  scaling.factor = positive(rope, "factor");
  if (kind == "linear") {
    scaling.kind = RotaryScalingKind::linear;
    return scaling;
  }
  if (kind == "llama3") {
    scaling.kind = RotaryScalingKind::llama3;
    scaling.original_positions = original_positions(rope, config);
    scaling.low_frequency_factor = positive(rope, "low_freq_factor");
    scaling.high_frequency_factor = positive(rope, "high_freq_factor");
    if (scaling.low_frequency_factor >= scaling.high_frequency_factor)
      rope.fail("low_freq_factor", "must be below high_freq_factor");
    return scaling;
  }
  scaling.kind = RotaryScalingKind::yarn;
  scaling.original_positions = original_positions(rope, config);
  scaling.beta_fast = positive_or(rope, "beta_fast", scaling.beta_fast);
  scaling.beta_slow = positive_or(rope, "beta_slow", scaling.beta_slow);
  scaling.whole_indices = rope.boolean_or("truncate", true);
  const bool two_scales = rope.number_or("mscale", 0) != 0 && rope.number_or("mscale_all_dim", 0) != 0;
  scaling.amplitude =
      positive_or(rope, "attention_factor",
                  two_scales ? yarn_amplitude(scaling.factor, rope.number("mscale")) /
                                   yarn_amplitude(scaling.factor, rope.number("mscale_all_dim"))
                             : yarn_amplitude(scaling.factor));
  return scaling;
}

}  // namespace detail

/// Reads `rope_theta` and `rope_scaling`, or `rope_parameters` as newer versions of the library write them. A
/// `rope_scaling` that somebody put beside `rope_parameters` stands in their place, the base that they name included.
/// Errors: FileError for a kind of scaling that is not known, missing numbers, numbers that are not positive.
inline HuggingFaceRotary read_rotary(const JsonObject& config, double default_theta = 10000) {
  const bool older = config.has("rope_scaling") && !config.at("rope_scaling").empty();
  const std::string key = older ? "rope_scaling" : "rope_parameters";
  HuggingFaceRotary rotary;
  rotary.theta = detail::positive_or(config, "rope_theta", default_theta);
  if (config.has(key)) {
    const JsonObject rope = config.object(key);
    rotary.theta = detail::positive_or(rope, "rope_theta", rotary.theta);
    const std::string kind_key = rope.has("rope_type") ? "rope_type" : "type";
    const std::string kind = rope.string_or(kind_key, "default");
    if (kind == "linear" || kind == "llama3" || kind == "yarn")
      rotary.scaling = detail::read_rotary_scaling(rope, config, kind);
    else if (kind != "default")
      rope.fail(kind_key, "'" + kind + "' is not supported (default, linear, llama3, yarn)");
    if (detail::positive_or(rope, "partial_rotary_factor", 1) != 1)
      rope.fail("partial_rotary_factor", "must be 1: rotating a part of each head is not supported");
  }
  if (rotary.theta <= 1) config.fail("rope_theta", "must be above 1, got " + std::to_string(rotary.theta));
  if (detail::positive_or(config, "partial_rotary_factor", 1) != 1)
    config.fail("partial_rotary_factor", "must be 1: rotating a part of each head is not supported");
  return rotary;
}

}  // namespace embedpool::io
