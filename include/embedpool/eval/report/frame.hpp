#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "embedpool/eval/report/axis.hpp"
#include "embedpool/eval/report/svg.hpp"
#include "embedpool/eval/report/text_width.hpp"

namespace embedpool::report {

/// Where the entries of a legend stand: one behind the other in rows of `width` pixels.
struct LegendPlaces {
  struct Place {
    double x = 0, y = 0;
    std::string text{};
  };
  static constexpr double row_height = 20, sample = 30;
  std::vector<Place> places{};
  double height = 0;

  LegendPlaces(const std::vector<std::string>& names, double width) {
    double x = 0, y = 0;
    for (const std::string& name : names) {
      const std::string text = shortened(name, Svg::font_size, width - sample);
      const double needed = sample + text_width(text, Svg::font_size) + 18;
      if (x > 0 && x + needed > width) x = 0, y += row_height;
      places.push_back({x, y, text});
      x += needed;
    }
    height = names.empty() ? 0 : y + row_height;
  }
};

/// The left margin that the numbers of a scale and its name need.
inline double left_margin(const Axis& axis, std::string_view name) {
  double widest = 0;
  for (const double tick : axis.ticks()) widest = std::max(widest, text_width(axis.tick_text(tick), Svg::font_size));
  return widest + 12 + (name.empty() ? 0 : 20);
}

/// The scale at the left of a plot: round numbers with faint lines across, and the name of what is measured.
inline void draw_scale(Svg& svg, const Axis& axis, std::string_view name, double left, double top, double width,
                       double height) {
  for (const double tick : axis.ticks()) {
    const double y = top + height * (1 - axis.fraction(tick));
    svg.line(left, y, left + width, y, 1, 0.15);
    svg.label(left - 7, y + 4.5, axis.tick_text(tick), Anchor::end);
  }
  if (!name.empty())
    svg.label(15, top + height / 2, shortened(name, Svg::font_size, height), Anchor::middle, Svg::font_size, -90);
}

/// Names under the columns of a chart: upright where all fit, turned where they do not; of short ones, such as numbers,
/// every second or third. Holds a reference to the names.
class ColumnLabels {
 public:
  ColumnLabels(const std::vector<std::string>& names, double column) : names_(names), column_(column) {
    double widest = 0;
    for (const std::string& name : names) widest = std::max(widest, text_width(name, Svg::font_size));
    const auto skip = [&](double needed) { return static_cast<std::size_t>(needed / std::max(column, 1.0)) + 1; };
    height_ = 22;
    if (widest + 8 <= column) return;
    if (widest <= 34) {
      every_ = skip(widest + 8);
    } else {
      turned_ = true;
      height_ = std::min(widest, longest) * diagonal + 22;
      every_ = column < 16 ? skip(16) : 1;
    }
  }

  double height() const noexcept { return height_; }
  /// How far turned names may reach to the left of the first column's centre.
  double reach() const noexcept {
    return turned_ && !names_.empty() ? std::min(text_width(names_[0], Svg::font_size), longest) * diagonal : 0;
  }

  void draw(Svg& svg, double left, double top) const {
    for (std::size_t i = 0; i < names_.size(); i += every_) {
      const double centre = left + (static_cast<double>(i) + 0.5) * column_;
      if (turned_)
        svg.label(centre + 4, top + 14, shortened(names_[i], Svg::font_size, longest), Anchor::end, Svg::font_size, -45);
      else
        svg.label(centre, top + 16, names_[i], Anchor::middle);
    }
  }

 private:
  static constexpr double longest = 170, diagonal = 0.7071;
  const std::vector<std::string>& names_;
  double column_, height_ = 0;
  bool turned_ = false;
  std::size_t every_ = 1;
};

}  // namespace embedpool::report
