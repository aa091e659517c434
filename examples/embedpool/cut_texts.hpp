#pragma once
#include <cstdio>
#include <string>

#include "embedpool/io/text_layout.hpp"

namespace embedpool::program {

/// Counts the texts of a run that were longer than what is read of them.
class CutTexts {
 public:
  /// Errors  ShapeError for a text that was cut, when that is refused
  void add(const io::LaidOutText& laid_out, Index max_tokens, bool refused) {
    if (laid_out.truncated && refused) throw ShapeError("is longer than " + std::to_string(max_tokens) + " tokens");
    ++texts_;
    cut_ += laid_out.truncated;
    if (laid_out.truncated) max_tokens_ = max_tokens;
  }
  /// Says on standard error how many there were, if any; `label` is in front of it.
  void report(const std::string& label = "") const {
    if (cut_ > 0)
      std::fprintf(stderr, "embedpool: %s%td of %td texts were longer than %td tokens and were cut\n", label.c_str(), cut_,
                   texts_, max_tokens_);
  }

 private:
  Index texts_ = 0, cut_ = 0, max_tokens_ = 0;
};

}  // namespace embedpool::program
