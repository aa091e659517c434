#pragma once
#include <algorithm>
#include <string>
#include <string_view>

#include "embedpool/eval/report/escape.hpp"
#include "embedpool/eval/report/number.hpp"
#include "embedpool/eval/report/text_width.hpp"

namespace embedpool::report {

/// Where a text stands to its point.
enum class Anchor { start, middle, end };

/// One SVG element, written piece by piece. It is self-contained, without ids, styles or scripts, so that any number of
/// them share a page; lines and letters take the colour of the text around (currentColor), so that it is read on light and
/// dark pages and on paper. Lengths are pixels at full size; it shrinks with the page to 3/4 of that and no further, so
/// that letters stay readable.
class Svg {
 public:
  static constexpr double font_size = 13, small_font = 11, title_font = 15;

  Svg(double width, double height, std::string_view label) : width_(width) {
    const std::string w = compact(width, 0), h = compact(height, 0);
    text_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"" + escape_markup(label) +
            "\" width=\"" + w + "\" height=\"" + h + "\" viewBox=\"0 0 " + w + " " + h +
            "\" style=\"max-width:100%;min-width:" + compact(width * 0.75, 0) +
            "px;height:auto\" font-family=\"system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif\" "
            "font-size=\"" + compact(font_size) + "\" fill=\"currentColor\">\n";
  }

  /// The chart's title at its top, as much of it as fits.
  void title(std::string_view content) {
    label(4, 18, shortened(content, title_font, width_ - 8), Anchor::start, title_font, 0, true);
  }

  /// An axis-parallel box; `note`, where given, is shown when one points at it.
  void box(double x, double y, double width, double height, std::string_view fill, std::string_view note = {}) {
    text_ += "<rect" + at("x", x) + at("y", y) + at("width", std::max(width, 0.0)) + at("height", std::max(height, 0.0)) +
             " fill=\"" + escape_markup(fill) + "\"";
    text_ += note.empty() ? "/>\n" : "><title>" + escape_markup(note) + "</title></rect>\n";
  }

  void line(double x1, double y1, double x2, double y2, double width = 1, double opacity = 1,
            std::string_view stroke = "currentColor", std::string_view dashes = {}) {
    text_ += "<line" + at("x1", x1) + at("y1", y1) + at("x2", x2) + at("y2", y2) + " stroke=\"" + escape_markup(stroke) +
             "\"" + at("stroke-width", width) + dash(dashes);
    text_ += opacity < 1 ? at("stroke-opacity", opacity) + "/>\n" : "/>\n";
  }

  /// A path of SVG commands, as a line that encloses nothing.
  void stroke_path(std::string_view commands, std::string_view stroke, double width, std::string_view dashes = {}) {
    text_ += "<path d=\"" + escape_markup(commands) + "\" fill=\"none\" stroke=\"" + escape_markup(stroke) + "\"" +
             at("stroke-width", width) + dash(dashes) + " stroke-linejoin=\"round\"/>\n";
  }

  /// A path of SVG commands, filled.
  void fill_path(std::string_view commands, std::string_view fill, std::string_view note = {}) {
    text_ += "<path d=\"" + escape_markup(commands) + "\" fill=\"" + escape_markup(fill) + "\"";
    text_ += note.empty() ? "/>\n" : "><title>" + escape_markup(note) + "</title></path>\n";
  }

  /// A text whose base line goes through (x, y), turned by `degrees` about that point.
  void label(double x, double y, std::string_view content, Anchor anchor = Anchor::start, double size = font_size,
             double degrees = 0, bool strong = false, std::string_view fill = {}) {
    text_ += "<text" + at("x", x) + at("y", y);
    if (anchor != Anchor::start) text_ += anchor == Anchor::middle ? " text-anchor=\"middle\"" : " text-anchor=\"end\"";
    if (size != font_size) text_ += at("font-size", size);
    if (degrees != 0) text_ += " transform=\"rotate(" + compact(degrees) + " " + compact(x) + " " + compact(y) + ")\"";
    if (strong) text_ += " font-weight=\"600\"";
    if (!fill.empty()) text_ += " fill=\"" + escape_markup(fill) + "\"";
    text_ += ">" + escape_markup(content) + "</text>\n";
  }

  std::string text() const { return text_ + "</svg>\n"; }

 private:
  static std::string at(const char* name, double value) { return std::string(" ") + name + "=\"" + compact(value) + "\""; }
  static std::string dash(std::string_view dashes) {
    return dashes.empty() ? "" : " stroke-dasharray=\"" + escape_markup(dashes) + "\"";
  }

  double width_;
  std::string text_;
};

}  // namespace embedpool::report
