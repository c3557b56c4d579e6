// plot_axis: from values to pixels, and the round numbers that are written beside an axis.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

namespace selfpatch {

/// A number as a person writes it: at most `digits` significant ones, no trailing zeros.
inline std::string short_number(double x, int digits = 4) {
  if (!std::isfinite(x)) return std::isnan(x) ? "nan" : x < 0 ? "-inf" : "inf";
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, x == 0 ? 0.0 : x,
                              std::chars_format::general, digits)
                    .ptr};
}

namespace detail {

/// From values to pixels along one axis.
struct plot_axis {
  double low = 0, high = 1;    // values, or their logarithms
  double first = 0, last = 1;  // pixels
  bool log = false;

  bool shows(double v) const { return std::isfinite(v) && (!log || v > 0); }
  double operator()(double v) const {
    const double t = ((log ? std::log10(v) : v) - low) / (high - low);
    return first + t * (last - first);
  }
};

/// About `count` round numbers within low .. high, in steps of 1, 2 or 5 times a power of ten.
inline std::vector<double> nice_ticks(double low, double high, int count) {
  const double raw = (high - low) / count, power = std::pow(10, std::floor(std::log10(raw)));
  const double ratio = raw / power;
  const double step = (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10) * power;
  std::vector<double> ticks;
  // Counted, not added up: 0.1 + 0.2 is no round number.
  const double from = std::ceil(low / step - 1e-9), to = std::floor(high / step + 1e-9);
  for (double i = from; i <= to && ticks.size() < 50; ++i) ticks.push_back(i * step);
  return ticks;
}

/// Powers of ten between two logarithms; with 2 and 5 times them where they are few.
inline std::vector<double> log_ticks(double low, double high) {
  std::vector<double> ticks;
  const int stride = std::max(1, int((high - low) / 6));
  for (int decade = int(std::floor(low)); decade <= high && ticks.size() < 50; decade += stride)
    for (const double m : {1.0, 2.0, 5.0}) {
      const double log = decade + std::log10(m);
      const bool wanted = m == 1 || high - low < 2;
      if (wanted && log >= low - 1e-9 && log <= high + 1e-9)
        ticks.push_back(m * std::pow(10, decade));
    }
  return ticks;
}

}  // namespace detail

}  // namespace selfpatch
