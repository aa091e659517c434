#include "progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace embedpool::program {
std::string Progress::clock(double seconds) {
  const long whole = static_cast<long>(seconds + 0.5);
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

Progress::Progress(std::string what, bool quiet)
    : what_(std::move(what)), quiet_(quiet), terminal_(isatty(STDERR_FILENO) == 1) {}

double Progress::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

std::string Progress::report() const {
  const double elapsed = std::max(seconds(), 1e-3);
  const std::string start = "embedpool: " + what_ + ": " + detail_;
  if (texts_ == 0) return start;  // work on something else than texts
  char text[80], tokens[40] = "";
  std::snprintf(text, sizeof text, "%td texts, %.1f texts/s", texts_, static_cast<double>(texts_) / elapsed);
  // A head that is trained on cached keys reads no tokens.
  if (tokens_ > 0) std::snprintf(tokens, sizeof tokens, ", %.0f tokens/s", static_cast<double>(tokens_) / elapsed);
  return start + (detail_.empty() ? "" : ", ") + text + tokens;
}

std::string Progress::number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

void Progress::add(Index texts, Index tokens, double fraction, std::string detail) {
  detail_ = std::move(detail);
  texts_ += texts;
  tokens_ += tokens;
  const auto now = Clock::now();
  const double since = std::chrono::duration<double>(now - said_).count();
  // Early estimates swing, hence the first second; a log does not want more than a line every ten.
  if (quiet_ || since < (terminal_ ? (said_anything_ ? 0.25 : 1.0) : 10.0)) return;
  std::string line = report();
  if (fraction > 0 && fraction < 1) line += ", " + clock(seconds() / fraction * (1 - fraction)) + " left";
  if (terminal_) {
    const std::size_t shown = line.size();
    line.append(width_ > shown ? width_ - shown : 0, ' ');
    width_ = shown;
    std::fprintf(stderr, "\r%s", line.c_str());
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
  said_ = now;
  said_anything_ = true;
}

void Progress::finish() {
  if (!said_anything_) return;
  std::string line = report() + ", " + clock(seconds()) + " in all";
  line.append(width_ > line.size() ? width_ - line.size() : 0, ' ');
  std::fprintf(stderr, terminal_ ? "\r%s\n" : "%s\n", line.c_str());
}

}  // namespace embedpool::program
