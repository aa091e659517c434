#pragma once
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "embedpool/io/json.hpp"
#include "embedpool/io/tokenizer/regex.hpp"

namespace embedpool::io {

/// `rank_pattern` or `alpha_pattern` of a PEFT adapter: numbers that some modules have in place of the one for all.
///
/// A key is a regular expression for a module's name, or for its end from a dot on: "q_proj", "layers.(0|1).mlp.down_proj".
/// PEFT takes the first key of the file that matches. Objects of JSON have no order: two keys that match a module and differ
/// are refused.
///
/// Errors  FileError naming file and key: no object of numbers, a key that is no regular expression
/// Source  PEFT, utils/other.py, get_pattern_key
class PeftPattern {
 public:
  PeftPattern(const JsonObject& config, const std::string& key) : config_(config), key_(key) {
    if (!config.has(key) || config.at(key).empty()) return;
    const JsonObject values = config.object(key);
    for (const auto& entry : values.json().items()) {
      const double value = values.number(entry.key());
      try {
        entries_.push_back({entry.key(), tokenizing::Regex("^(.*\\.)?(" + entry.key() + ")$"), value});
      } catch (const std::invalid_argument& problem) {
        values.fail(entry.key(), problem.what());
      }
    }
  }

  /// The number of a module, such as "model.layers.0.self_attn.q_proj"; nothing for one that no key matches.
  /// Errors  FileError naming both keys where two numbers fit
  std::optional<double> of(const std::string& module) const {
    const Entry* found = nullptr;
    for (const Entry& entry : entries_) {
      if (tokenizing::Match match{}; !entry.pattern.find(module, 0, match, scratch_)) continue;
      if (found != nullptr && found->value != entry.value)
        config_.fail(key_, "'" + found->key + "' and '" + entry.key + "' both match " + module + " and differ");
      found = &entry;
    }
    return found == nullptr ? std::nullopt : std::optional(found->value);
  }

 private:
  struct Entry {
    std::string key;
    tokenizing::Regex pattern;
    double value;
  };
  JsonObject config_;
  std::string key_;
  std::vector<Entry> entries_{};
  tokenizing::MatchScratch scratch_{};
};

}  // namespace embedpool::io
