// hue: colors turned around the grey axis, through 8-bit hue, saturation and value as the published
// pipeline does it.
//
//   value V = max     saturation S = trunc(255 (max - min) / max)     hue H = trunc(255 h)
//
// with h the place on the color circle, 0..1.
//
// to_hsv and to_rgb are the definition, in the mixture of float and double that makes its bytes. A
// picture goes through tables made from them: to_hsv depends on which channels are largest and
// smallest (6 ways), on max - min and on the distance of the third from max.
#pragma once

#include <selfpatch/data/image.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace selfpatch {

struct hsv8 {
  std::uint8_t hue, saturation, value;

  bool operator==(const hsv8&) const = default;
};

/// 8-bit hue (a turn is 255), saturation, value. Float and double as in the published pipeline.
inline hsv8 to_hsv(std::uint8_t r, std::uint8_t g, std::uint8_t b) {
  const std::uint8_t most = std::max({r, g, b}), least = std::min({r, g, b});
  if (most == least) return {0, 0, most};
  const float range = float(most - least), saturation = range / float(most);
  const float rc = float(most - r) / range, gc = float(most - g) / range,
              bc = float(most - b) / range;
  const float h = r == most ? bc - gc : g == most ? float(2.0 + rc - bc) : float(4.0 + gc - rc);
  const float turn = float(std::fmod(h / 6.0 + 1.0, 1.0));
  return {std::uint8_t(turn * 255.0), std::uint8_t(saturation * 255.0), most};
}

inline std::array<std::uint8_t, 3> to_rgb(hsv8 color) {
  const double v = color.value;
  if (color.saturation == 0) return {color.value, color.value, color.value};
  const double sixths = color.hue * 6.0 / 255.0;
  const int sector = int(sixths);
  const double f = float(sixths - sector), s = float(color.saturation / 255.0);
  const auto near = [](double x) {
    return std::uint8_t(x + 0.5);
  };  // x >= 0: halves go up, as away from zero
  const std::uint8_t p = near(v * (1 - s)), q = near(v * (1 - s * f)),
                     t = near(v * (1 - s * (1 - f)));
  switch (sector % 6) {
    case 0:
      return {color.value, t, p};
    case 1:
      return {q, color.value, p};
    case 2:
      return {p, color.value, t};
    case 3:
      return {p, q, color.value};
    case 4:
      return {t, p, color.value};
    default:
      return {color.value, p, q};
  }
}

namespace detail {

class hue_tables {
 public:
  hue_tables() : hues_(ways * triangle), saturations_(256 * 256) {
    constexpr std::array<std::array<int, 3>, ways> order{
        {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}};
    for (std::size_t way = 0; way < ways; ++way) {
      for (int range = 1; range < 256; ++range) {
        for (int below = 0; below <= range; ++below) {
          std::array<std::uint8_t, 3> color{};
          color[std::size_t(order[way][0])] = 255;
          color[std::size_t(order[way][1])] = std::uint8_t(255 - below);
          color[std::size_t(order[way][2])] = std::uint8_t(255 - range);
          hues_[way * triangle + place(range, below)] = to_hsv(color[0], color[1], color[2]).hue;
        }
      }
    }
    for (int most = 1; most < 256; ++most)
      for (int range = 1; range <= most; ++range)
        saturations_[std::size_t(most * 256 + range)] =
            to_hsv(std::uint8_t(most), std::uint8_t(most - range), std::uint8_t(most - range))
                .saturation;
    for (int h = 0; h < 256; ++h) {
      const double sixths = h * 6.0 / 255.0;
      sectors_[std::size_t(h)] = std::uint8_t(int(sixths) % 6);
      fractions_[std::size_t(h)] = float(sixths - int(sixths));
    }
  }

  static const hue_tables& shared() {
    static const hue_tables tables;
    return tables;
  }

  hsv8 hsv(const std::uint8_t* v) const {
    const std::uint8_t r = v[0], g = v[1], b = v[2];
    const std::uint8_t most = std::max({r, g, b}), least = std::min({r, g, b});
    const int range = most - least, middle = r + g + b - most - least;
    // As to_hsv: of equal channels red counts as the largest before green, green before blue. Which
    // of two equal channels is the smallest changes nothing.
    const std::size_t way = r == most   ? (g >= b ? 0u : 1u)
                            : g == most ? (r >= b ? 2u : 3u)
                                        : (r >= g ? 4u : 5u);
    return {hues_[way * triangle + place(range, most - middle)],
            saturations_[std::size_t(most * 256 + range)], most};
  }

  void rgb(hsv8 color, std::uint8_t* to) const {
    const double v = color.value, s = float(color.saturation / 255.0), f = fractions_[color.hue];
    const auto near = [](double x) { return std::uint8_t(int(x + 0.5)); };
    const std::array<std::uint8_t, 4> vpqt{color.value, near(v * (1 - s)), near(v * (1 - s * f)),
                                           near(v * (1 - s * (1 - f)))};
    constexpr std::array<std::array<std::uint8_t, 3>, 6> which{
        {{0, 3, 1}, {2, 0, 1}, {1, 0, 3}, {1, 2, 0}, {3, 1, 0}, {0, 1, 2}}};
    const auto& of = which[sectors_[color.hue]];
    for (std::size_t c = 0; c < 3; ++c) to[c] = vpqt[of[c]];
  }

 private:
  static constexpr std::size_t ways = 6, triangle = 256 * 257 / 2;
  static std::size_t place(int range, int below) {
    return std::size_t(range * (range + 1) / 2 + below);
  }

  std::vector<std::uint8_t> hues_, saturations_;
  std::array<std::uint8_t, 256> sectors_{};
  std::array<double, 256> fractions_{};
};

}  // namespace detail

/// factor in -0.5..0.5 turns, shifts hue by trunc(255 factor) steps. 0 is not the identity: colors
/// pass through 8-bit hue, saturation and value. One channel is left alone.
inline void adjust_hue(image& p, double factor) {
  if (p.channels == 1) return;
  const detail::hue_tables& tables = detail::hue_tables::shared();
  const auto shift = std::uint8_t(int(factor * 255));
  for (std::size_t i = 0; i < p.bytes(); i += 3) {
    hsv8 color = tables.hsv(p.pixels.data() + i);
    color.hue = std::uint8_t(color.hue + shift);
    tables.rgb(color, p.pixels.data() + i);
  }
}

}  // namespace selfpatch
