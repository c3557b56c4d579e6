// scenes: generated pictures of overlapping objects with exact masks: data for demos and tests
// without any file.
//
// A scene has 2 to 4 objects before a background, all of different classes c out of 8: hue c mod 4,
// texture family c / 4 (0 oriented: stripes or zigzag; 1 isotropic: dots or blocks). Phase, angle,
// period, polarity, contrast and light say nothing about the object, two classes share each hue,
// and luminance varies more inside an object than between objects: raw pixels and an untrained
// network follow the texture, not the object.
//
// Lengths below are in units of 1/96 of the picture's side, so a scene looks the same at any size.
// Everything is keyed by (seed, index): scene i of a seed never depends on the others.
#pragma once

#include <selfpatch/core/random.hpp>
#include <selfpatch/core/shape.hpp>
#include <selfpatch/data/image.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace selfpatch {

struct scene_options {
  int size = 96;  ///< side of the picture in pixels, 8 or more
  /// Of a sequence, in which objects move with their texture and occlude each other; they turn back
  /// near the border. Frame 0 is the still scene.
  int frame = 0;
  double speed = 0;  ///< of the fastest object, units per frame
};

/// A generated picture and what is in it. Maps are size x size, row by row.
struct scene {
  image picture;                        ///< RGB
  std::vector<std::uint8_t> instances;  ///< 0 background, then objects in the order of painting
  std::vector<std::uint8_t> classes;    ///< 0..7, the background's own included
  int objects = 0;                      ///< 2, 3 or 4 (some may be hidden)
};

namespace detail {

inline double clip01(double v) { return std::clamp(v, 0.0, 1.0); }
inline double fraction(double v) { return v - std::floor(v); }

/// A wave of period 1 with soft flanks, 0..1.
inline double soft_square(double v) {
  return clip01(0.5 + 1.5 * std::sin(2 * std::numbers::pi * v));
}

/// What a region is filled with.
struct scene_texture {
  enum pattern { stripes, zigzag, dots, blocks };

  pattern kind;
  double cosine, sine, period, a, b;
  bool inverted;
  random cells;                       ///< of `blocks`
  std::array<double, 3> dark, light;  ///< colors at 0 and 1

  scene_texture(int label, random& draw) : cells(random::with_key(draw())) {
    const bool second = draw.below(2) == 1;
    kind = label / 4 == 0 ? (second ? zigzag : stripes) : (second ? blocks : dots);
    const double angle = draw.uniform(0, std::numbers::pi);
    cosine = std::cos(angle);
    sine = std::sin(angle);
    period = draw.uniform(6, 10);
    a = draw.uniform();
    b = draw.uniform();
    inverted = draw.below(2) == 1;
    const double hue = label % 4 / 4.0 + draw.uniform(-0.08, 0.08);
    const double saturation = draw.uniform(0.3, 0.7);
    const double low = draw.uniform(0.15, 0.4), high = draw.uniform(0.75, 1);
    constexpr std::array<double, 3> turn{5, 3, 1};
    for (std::size_t c = 0; c < 3; ++c) {
      double k = std::fmod(turn[c] + 6 * hue, 6.0);
      if (k < 0) k += 6;
      const double tint = 1 - saturation * clip01(std::min(k, 4 - k));
      dark[c] = tint * low;
      light[c] = tint * high;
    }
  }

  /// 0..1 at (x, y).
  double at(double x, double y) const {
    const double u = x * cosine + y * sine, v = y * cosine - x * sine;
    double t = 0;
    switch (kind) {
      case stripes:
        t = soft_square(u / period + a);
        break;
      case zigzag: {
        const double z = 2 * std::abs(fraction(v / (1.5 * period) + b) - 0.5);
        t = soft_square((u + 0.75 * period * z) / period + a);
        break;
      }
      case dots: {
        const double du = fraction(u / period + a) - 0.5, dv = fraction(v / period + b) - 0.5;
        t = clip01((0.33 - std::sqrt(du * du + dv * dv)) * period + 0.5);
        break;
      }
      case blocks: {
        const auto column = std::uint32_t(std::int32_t(std::floor(x / 3)));
        const auto row = std::uint32_t(std::int32_t(std::floor(y / 3)));
        t = double(cells.at(std::uint64_t(column) << 32 | row) >> 63);
      }
    }
    return inverted ? 1 - t : t;
  }
};

/// Where an object is.
struct scene_object {
  enum outline { ellipse, rectangle, triangle };

  outline kind;
  double x, y, a, b, cosine, sine;
  double moved_x = 0, moved_y = 0;

  explicit scene_object(random& draw) {
    x = draw.uniform(14, 82);
    y = draw.uniform(14, 82);
    a = draw.uniform(16, 32);
    b = a * draw.uniform(0.6, 1);
    const double angle = draw.uniform(0, std::numbers::pi);
    cosine = std::cos(angle);
    sine = std::sin(angle);
    kind = outline(draw.below(3));
  }

  /// To where it is after `way` units in its direction.
  void move(double angle, double way) {
    const auto bounced = [](double at) {  // into 14..82
      const double t = std::abs(std::fmod(at - 14, 136));
      return 14 + (t > 68 ? 136 - t : t);
    };
    moved_x = bounced(x + way * std::cos(angle)) - x;
    moved_y = bounced(y + way * std::sin(angle)) - y;
    x += moved_x;
    y += moved_y;
  }

  bool covers(double at_x, double at_y) const {
    const double dx = at_x - x, dy = at_y - y;
    const double u = dx * cosine + dy * sine, v = dy * cosine - dx * sine;
    switch (kind) {
      case ellipse:
        return (u / a) * (u / a) + (v / b) * (v / b) < 1;
      case rectangle:
        return std::abs(u) < 0.85 * a && std::abs(v) < 0.85 * b;
      case triangle:
        return v > -0.7 * b && v + 1.8 * (b / a) * std::abs(u) < 1.1 * b;
    }
    return false;
  }
};

/// All of a scene but its pixels.
struct scene_plan {
  std::vector<scene_texture> textures;  ///< of the background, then of the objects
  std::vector<scene_object> objects;
  std::array<std::uint8_t, 8> labels{0, 1, 2, 3,
                                     4, 5, 6, 7};  ///< the first of them, in the same order
  double light_x, light_y;

  scene_plan(std::uint64_t seed, index number, double way) {
    random draw(seed, purpose::scene, number);
    const std::size_t count = 2 + draw.below(3);
    for (std::size_t i = 0; i < 7; ++i) std::swap(labels[i], labels[i + draw.below(8 - i)]);
    for (std::size_t i = 0; i <= count; ++i) textures.emplace_back(labels[i], draw);
    for (std::size_t i = 0; i < count; ++i) objects.emplace_back(draw);
    light_x = draw.uniform(-0.3, 0.3);
    light_y = draw.uniform(-0.3, 0.3);
    random motion(seed, purpose::scene, number, 1);
    for (scene_object& object : objects) {
      const double angle = motion.uniform(0, 2 * std::numbers::pi);
      object.move(angle, way * motion.uniform(0.4, 1));
    }
  }

  /// The uppermost object, counted from 1; 0 is the background.
  std::size_t top_at(double x, double y) const {
    std::size_t top = objects.size();
    while (top > 0 && !objects[top - 1].covers(x, y)) --top;
    return top;
  }
};

}  // namespace detail

/// Scene `number` of a seed. About a millisecond at 96 x 96.
inline scene make_scene(std::uint64_t seed, index number, const scene_options& options = {}) {
  expects(options.size >= 8, "make_scene(seed, number, options): size is 8 or more");
  const detail::scene_plan plan(seed, number, options.frame * options.speed);
  const int size = options.size;
  scene made{image(size, size, 3), {}, {}, int(plan.objects.size())};
  made.instances.reserve(std::size_t(size) * std::size_t(size));
  made.classes.reserve(made.instances.capacity());
  random grain(seed, purpose::scene, number, 2, options.frame);
  for (int row = 0; row < size; ++row) {
    std::uint8_t* pixel = made.picture.row(row);
    for (int column = 0; column < size; ++column, pixel += 3) {
      const double x = (column + 0.5) * 96 / size, y = (row + 0.5) * 96 / size;
      const std::size_t top = plan.top_at(x, y);
      const double moved_x = top ? plan.objects[top - 1].moved_x : 0;
      const double moved_y = top ? plan.objects[top - 1].moved_y : 0;
      const auto& texture = plan.textures[top];
      const double t = texture.at(x - moved_x, y - moved_y);
      const double light = 1 + plan.light_x * (x / 96 - 0.5) + plan.light_y * (y / 96 - 0.5);
      for (std::size_t c = 0; c < 3; ++c) {
        const double color = texture.dark[c] + (texture.light[c] - texture.dark[c]) * t;
        pixel[c] = std::uint8_t(255 * detail::clip01(color * light + 0.02 * grain.normal()) + 0.5);
      }
      made.instances.push_back(std::uint8_t(top));
      made.classes.push_back(plan.labels[top]);
    }
  }
  return made;
}

}  // namespace selfpatch
