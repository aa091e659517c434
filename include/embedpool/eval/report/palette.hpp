#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>

namespace embedpool::report {

/// The colour of the i-th series of a chart: eight that people with any colour vision tell apart, then the same again.
///
/// Source  Okabe and Ito 2008, with grey and brown in place of black and yellow, so that all are seen on white and on black
inline std::string_view series_colour(std::size_t i) noexcept {
  static constexpr std::array<std::string_view, 8> colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                              "#e69f00", "#56b4e9", "#8c8c8c", "#a6761d"};
  return colours[i % colours.size()];
}

/// A colour of a heat map: dark blue at 0 to yellow at 1, in steps that are equal to the eye and in grey print too. Values
/// outside take the end's colour.
///
/// Source  viridis (van der Walt and Smith 2015) at ten points, straight lines between them
class HeatColour {
 public:
  explicit HeatColour(double fraction) noexcept {
    static constexpr int points[10][3] = {{68, 1, 84},    {72, 40, 120},  {62, 74, 137},  {49, 104, 142}, {38, 130, 142},
                                          {31, 158, 137}, {53, 183, 121}, {109, 205, 89}, {180, 222, 44}, {253, 231, 37}};
    const double place = 9 * std::clamp(fraction, 0.0, 1.0);
    const int below = std::min(static_cast<int>(place), 8);
    for (int c = 0; c < 3; ++c) {
      const double step = points[below + 1][c] - points[below][c];
      channels_[c] = static_cast<int>(std::lround(points[below][c] + (place - below) * step));
    }
  }

  std::string text() const {
    constexpr char digits[] = "0123456789abcdef";
    std::string hex = "#";
    for (const int c : channels_) hex += {digits[c / 16], digits[c % 16]};
    return hex;
  }

  /// The colour of letters on it: black or white, whichever has more contrast, which is 4.5 or more.
  ///
  /// Source  contrast of WCAG 2.1, with 2.2 as the exponent of sRGB
  std::string_view letters() const noexcept {
    const auto linear = [&](int c) { return std::pow(channels_[c] / 255.0, 2.2); };
    const double luminance = 0.2126 * linear(0) + 0.7152 * linear(1) + 0.0722 * linear(2);
    return luminance > 0.179 ? "#000" : "#fff";  // where 1.05 / (l + 0.05) = (l + 0.05) / 0.05
  }

 private:
  int channels_[3];
};

}  // namespace embedpool::report
