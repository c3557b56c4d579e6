// svg: line plots as text that stands in a page.
//
//   plot p{.x_label = "step", .y_label = "loss"};
//   p.lines.push_back({.label = "image", .x = step, .y = loss});
//   p.references.push_back({.y = std::log(65536.), .label = "ln K: uniform"});
//   page.figure(svg(p), "The loss of the image term.");
//
// Lines differ by color, dash and marker at once. What is not finite (or, on a logarithmic axis,
// not positive) leaves a gap. Long series are thinned to the extremes of each pixel column, so a
// plot stays some ten kilobytes.
#pragma once

#include <selfpatch/core/error.hpp>
#include <selfpatch/eval/html.hpp>
#include <selfpatch/eval/plot_axis.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace selfpatch {

struct plot {
  struct line {
    std::string label{};
    std::vector<double> x{}, y{};  ///< of one length; x ascending
  };
  struct reference {
    double y = 0;
    std::string label{};
  };

  std::string x_label{}, y_label{};
  std::vector<line> lines{};
  std::vector<reference> references{};  ///< horizontal, dashed, labelled
  bool log_y = false;
  int width = 640, height = 240;  ///< pixels
};

namespace detail {

class plot_writer {
 public:
  explicit plot_writer(const plot& p) : p_(p) {
    for (const auto& l : p.lines)
      expects(l.x.size() == l.y.size(), "svg(plot): x and y of a line must have the same length");
    expects(p.width >= 100 && p.height >= 80, "svg(plot): at least 100 x 80 pixels");
    legend_rows_ = place_legend();
    x_ = {.first = left, .last = double(p.width - right), .log = false};
    y_ = {.first = double(p.height - bottom), .last = 8.0 + 16 * legend_rows_, .log = p.log_y};
    fit();
  }

  std::string text() {
    const std::string w = std::to_string(p_.width), h = std::to_string(p_.height);
    out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + w + "\" height=\"" + h +
           "\" viewBox=\"0 0 " + w + " " + h +
           "\" font-family=\"system-ui,sans-serif\" font-size=\"11\" fill=\"#222\" "
           "role=\"img\">\n<title>" +
           escaped(p_.y_label + " by " + p_.x_label) + "</title>\n";
    axes();
    for (const auto& r : p_.references) reference(r);
    for (std::size_t i = 0; i < p_.lines.size(); ++i) line(i);
    legend();
    return std::move(out_) + "</svg>";
  }

 private:
  static constexpr double left = 60, right = 20, bottom = 34;

  // Colors of Okabe and Ito, which remain distinct in every common form of color blindness; yellow
  // is too pale.
  static std::string_view color(std::size_t i) {
    constexpr std::string_view all[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                        "#e69f00", "#56b4e9", "#000000"};
    return all[i % std::size(all)];
  }
  static std::string_view dash(std::size_t i) {
    constexpr std::string_view all[] = {"", "7 3", "2 2", "9 3 2 3", "4 2"};
    return all[i % std::size(all)];
  }
  static std::string pixels(double v) {
    char text[40];
    std::string s(text,
                  std::to_chars(text, text + sizeof text, v, std::chars_format::fixed, 1).ptr);
    if (s.ends_with(".0")) s.resize(s.size() - 2);
    return s;
  }
  static double width_of(std::string_view text) { return 6.2 * double(text.size()); }

  void fit() {
    double x0 = inf, x1 = -inf, y0 = inf, y1 = -inf;
    const auto grow = [](double v, double& low, double& high) {
      low = std::min(low, v), high = std::max(high, v);
    };
    const auto grow_y = [&](double v) {
      if (y_.shows(v)) grow(p_.log_y ? std::log10(v) : v, y0, y1);
    };
    for (const auto& l : p_.lines)
      for (std::size_t i = 0; i < l.x.size(); ++i)
        if (x_.shows(l.x[i]) && y_.shows(l.y[i])) grow(l.x[i], x0, x1), grow_y(l.y[i]);
    for (const auto& r : p_.references) grow_y(r.y);
    const auto set = [](plot_axis& axis, double low, double high, double margin) {
      if (low > high) low = 0, high = 1;
      // A flat line gets an axis wide enough that rounding does not show on it.
      const double least = std::max({std::abs(low), std::abs(high), 1e-300}) * 1e-6;
      if (high - low < least) {
        const double around = high == 0 ? 1 : std::max(std::abs(high) * 0.1, least);
        low -= around, high += around;
      }
      axis.low = low - margin * (high - low), axis.high = high + margin * (high - low);
    };
    set(x_, x0, x1, 0);
    set(y_, y0, y1, 0.05);
  }

  void text_at(double x, double y, std::string_view anchor, std::string_view text,
               std::string_view more = "") {
    out_ += "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" text-anchor=\"" +
            std::string(anchor) + "\"" + std::string(more) + ">" + escaped(text) + "</text>\n";
  }
  void stroke(double x0, double y0, double x1, double y1, std::string_view style) {
    out_ += "<path d=\"M" + pixels(x0) + " " + pixels(y0) + "L" + pixels(x1) + " " + pixels(y1) +
            "\" " + std::string(style) + "/>\n";
  }

  void axes() {
    constexpr std::string_view grid = "stroke=\"#ddd\"", frame = "stroke=\"#666\"";
    const int fitting = std::max(2, int((y_.first - y_.last) / 32));
    for (const double v :
         p_.log_y ? log_ticks(y_.low, y_.high) : nice_ticks(y_.low, y_.high, fitting)) {
      stroke(x_.first, y_(v), x_.last, y_(v), grid);
      text_at(x_.first - 5, y_(v) + 4, "end", short_number(v));
    }
    for (const double v :
         nice_ticks(x_.low, x_.high, std::max(2, int((x_.last - x_.first) / 80)))) {
      stroke(x_(v), y_.first, x_(v), y_.first + 4, frame);
      text_at(x_(v), y_.first + 16, "middle", short_number(v, 9));
    }
    stroke(x_.first, y_.first, x_.last, y_.first, frame);
    text_at((x_.first + x_.last) / 2, p_.height - 4, "middle", p_.x_label);
    const double middle = (y_.first + y_.last) / 2;
    text_at(12, middle, "middle", p_.y_label,
            " transform=\"rotate(-90 12 " + pixels(middle) + ")\"");
  }

  void reference(const plot::reference& r) {
    if (!y_.shows(r.y)) return;
    stroke(x_.first, y_(r.y), x_.last, y_(r.y),
           "stroke=\"#666\" stroke-dasharray=\"1 3\" stroke-width=\"1.5\"");
    text_at(x_.last - 2, y_(r.y) - 3, "end", r.label, " fill=\"#444\"");
  }

  struct point {
    double x, y;
  };
  /// The runs of a line between its gaps, in pixels, at most four points a column.
  std::vector<std::vector<point>> runs(const plot::line& l) const {
    std::vector<std::vector<point>> all(1);
    std::vector<point> column;
    const auto flush = [&] {
      if (column.empty()) return;
      const auto above = [](const point& a, const point& b) { return a.y < b.y; };
      const auto [low, high] = std::minmax_element(column.begin(), column.end(), above);
      for (auto at = column.begin(); at != column.end(); ++at)
        if (at == low || at == high || at == column.begin() || at + 1 == column.end())
          all.back().push_back(*at);
      column.clear();
    };
    for (std::size_t i = 0; i < l.x.size(); ++i) {
      if (!x_.shows(l.x[i]) || !y_.shows(l.y[i])) {
        flush();
        if (!all.back().empty()) all.emplace_back();
        continue;
      }
      const point next{x_(l.x[i]), y_(l.y[i])};
      if (!column.empty() && std::floor(column.front().x) != std::floor(next.x)) flush();
      column.push_back(next);
    }
    flush();
    return all;
  }

  void line(std::size_t i) {
    std::string path;
    std::vector<point> marks;
    double next_mark =
        x_.first + 12.0 * double(i % 7);  // lines that coincide still show their markers
    for (const auto& run : runs(p_.lines[i]))
      for (const point& at : run) {
        path += (&at == run.data() ? "M" : "L") + pixels(at.x) + " " + pixels(at.y);
        if (run.size() == 1 || at.x >= next_mark) {
          marks.push_back(at);
          next_mark = at.x + 90;
        }
      }
    if (!path.empty()) draw(i, path);
    for (const point& at : marks) marker(i, at);
  }
  void draw(std::size_t i, const std::string& path) {
    out_ += "<path fill=\"none\" stroke=\"" + std::string(color(i)) + "\" stroke-width=\"1.6\"";
    if (!dash(i).empty()) out_ += " stroke-dasharray=\"" + std::string(dash(i)) + "\"";
    out_ += " d=\"" + path + "\"/>\n";
  }
  void marker(std::size_t i, point at) {
    constexpr std::string_view shapes[] = {"m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z", "m-3-3h6v6h-6z",
                                           "m0-4l4 7h-8z", "m0-4l4 4l-4 4l-4-4z",
                                           "m-3-3l6 6m0-6l-6 6"};
    out_ += "<path fill=\"#fff\" stroke=\"" + std::string(color(i)) +
            "\" stroke-width=\"1.4\" d=\"M" + pixels(at.x) + " " + pixels(at.y) +
            std::string(shapes[i % std::size(shapes)]) + "\"/>\n";
  }

  /// Entries from left to right, rows as they are needed; none for a single line without a label.
  int place_legend() {
    double x = left;
    int row = 0;
    for (const auto& l : p_.lines) {
      const double needed = 42 + width_of(l.label);
      if (x > left && x + needed > p_.width - right) x = left, ++row;
      places_.push_back({x, 12.0 + 16 * row});
      x += needed;
    }
    const bool silent = p_.lines.empty() || (p_.lines.size() == 1 && p_.lines[0].label.empty());
    if (silent) places_.clear();
    return silent ? 0 : row + 1;
  }
  void legend() {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const auto [x, y] = places_[i];
      draw(i, "M" + pixels(x) + " " + pixels(y) + "h26");
      marker(i, {x + 13, y});
      text_at(x + 31, y + 4, "start", p_.lines[i].label);
    }
  }

  static constexpr double inf = std::numeric_limits<double>::infinity();

  const plot& p_;
  plot_axis x_, y_;
  std::vector<point> places_;
  int legend_rows_ = 0;
  std::string out_;
};

}  // namespace detail

/// The plot as an <svg> element.
inline std::string svg(const plot& p) { return detail::plot_writer(p).text(); }

}  // namespace selfpatch
