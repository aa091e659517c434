#pragma once
#include <chrono>
#include <string>

#include "embedpool/core/types.hpp"

namespace embedpool::program {

/// Says on standard error how far a long run has come: a line that is written over at a terminal, else a new line now
/// and then. A run of less than a second says nothing.
class Progress {
 public:
  Progress(std::string what, bool quiet);

  /// Counts texts and tokens that are done; `fraction` of the whole is done, 0 where that is not known.
  /// `detail` is said as it is now.
  void add(Index texts, Index tokens, double fraction, std::string detail = {});

  /// A figure with the digits that people compare.
  static std::string number(double value);
  /// "1:05" or "2:01:05", of seconds.
  static std::string clock(double seconds);

  /// Ends the line; says how much was done where anything was said before.
  void finish();

  Index texts() const noexcept { return texts_; }
  Index tokens() const noexcept { return tokens_; }
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  std::string report() const;

  std::string what_;
  bool quiet_, terminal_;
  Clock::time_point start_ = Clock::now(), said_ = start_;
  bool said_anything_ = false;
  std::size_t width_ = 0;  // of the line at the terminal, to write over all of it
  Index texts_ = 0, tokens_ = 0;
  std::string detail_{};
};

}  // namespace embedpool::program
