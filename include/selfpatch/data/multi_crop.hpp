// multi_crop: the views of a picture that a step learns from: two large crops and some small ones,
// each with its own place, mirroring, colors and blur.
//
//   crop, resize (bicubic), flip, color jitter, grey, blur, solarize, to float, normalize
//
// The default is the published pipeline; every number is a value. What is drawn depends on (seed,
// epoch, sample, view) alone, in three streams (crop, color, blur), so changing the blur leaves the
// crops where they are.
#pragma once

#include <selfpatch/core/random.hpp>
#include <selfpatch/core/shape.hpp>
#include <selfpatch/data/augment.hpp>
#include <selfpatch/data/resize.hpp>

#include <optional>

namespace selfpatch {

enum class blur_kind { gaussian, fixed121 };

/// How one kind of view is made. Probabilities 0..1, areas as shares of the picture.
struct view_recipe {
  int size = 224;                         ///< side of the view, pixels
  double area_low = 0.25, area_high = 1;  ///< share of the picture's area
  double aspect_low = 3.0 / 4, aspect_high = 4.0 / 3;
  double flip = 0.5;
  double jitter = 0.8;  ///< probability of the four below, in random order
  double brightness = 0.4, contrast = 0.4, saturation = 0.2;  ///< factors from 1 - this to 1 + this
  double hue = 0.1;  ///< turns from -this to this, at most 0.5
  double grey = 0.2;
  double blur = 1;
  blur_kind blurred_by = blur_kind::gaussian;
  double blur_low = 0.1, blur_high = 2;  ///< radius, pixels
  double solarize = 0;
  int solarize_from = 128;

  bool operator==(const view_recipe&) const = default;
};

/// All views of a picture: view 0 is global1, view 1 global2, views 2 .. 1 + locals are local.
struct multi_crop {
  view_recipe global1{}, global2{.blur = 0.1, .solarize = 0.2};
  view_recipe local{.size = 96, .area_low = 0.05, .area_high = 0.25, .blur = 0.5};
  int locals = 8;
  selfpatch::normalization normalization{};

  int views() const { return 2 + locals; }
  const view_recipe& recipe(int view) const {
    return view == 0 ? global1 : view == 1 ? global2 : local;
  }

  /// f(recipe) for the three kinds of view.
  template <class F>
  void each(const F& f) {
    f(global1), f(global2), f(local);
  }

  bool operator==(const multi_crop&) const = default;
};

/// Small crops and mild colors, for pictures of about 96 pixels and networks of patch 8.
inline multi_crop small_crops() {
  multi_crop views;
  views.locals = 4;
  views.each([](view_recipe& v) {
    v.size = 48;
    v.hue = 0.05;
    v.grey = 0.1;
    v.blur = 0.3;
    v.blurred_by = blur_kind::fixed121;
    v.solarize = 0;
  });
  views.local.size = 24;
  return views;
}

/// Throws error where a recipe makes no sense.
inline void check(const view_recipe& v) {
  expects(v.size >= 1 && v.size <= 4096, "view_recipe: size is 1..4096");
  expects(v.area_low > 0 && v.area_low <= v.area_high && v.area_high <= 1,
          "view_recipe: areas are shares, 0 < area_low <= area_high <= 1");
  expects(v.aspect_low > 0 && v.aspect_low <= v.aspect_high,
          "view_recipe: 0 < aspect_low <= aspect_high");
  expects(v.brightness >= 0 && v.contrast >= 0 && v.saturation >= 0 && v.hue >= 0 && v.hue <= 0.5,
          "view_recipe: color strengths are 0 or more, hue at most 0.5");
  expects(v.blur_low > 0 && v.blur_low <= v.blur_high, "view_recipe: 0 < blur_low <= blur_high");
}

/// The box of a random resized crop for one draw of area share and log aspect ratio: width, height
/// and whether it fits into the picture.
struct crop_size {
  int width, height;
  bool fits;
};
inline crop_size size_of_crop(int width, int height, double share, double log_aspect) {
  const double area = double(width) * height * share, aspect = std::exp(float(log_aspect));
  const double w = std::nearbyint(std::sqrt(area * aspect)),
               h = std::nearbyint(std::sqrt(area / aspect));
  const bool fits = w > 0 && w <= width && h > 0 && h <= height;
  return {int(std::min(w, 1e9)), int(std::min(h, 1e9)), fits};
}

/// The center crop taken where no draw fits: the whole picture, cut to the range of aspect ratios.
inline box fallback_crop(int width, int height, double aspect_low, double aspect_high) {
  const double aspect = double(width) / height;
  int w = width, h = height;
  if (aspect < aspect_low)
    h = int(std::nearbyint(width / aspect_low));
  else if (aspect > aspect_high)
    w = int(std::nearbyint(height * aspect_high));
  w = std::clamp(w, 1, width);
  h = std::clamp(h, 1, height);
  return {(height - h) / 2, (width - w) / 2, h, w};
}

/// The order and strength of a color jitter.
struct jitter_draw {
  std::array<int, 4> order{0, 1, 2, 3};  ///< 0 brightness, 1 contrast, 2 saturation, 3 hue
  float brightness = 1, contrast = 1, saturation = 1;
  double hue = 0;
};

/// Everything random about one view.
struct view_draw {
  box part;
  bool flip = false;
  std::optional<jitter_draw> jitter;
  bool grey = false;
  std::optional<float> blur;  ///< radius
  bool solarize = false;
};

/// Whose view it is.
struct view_key {
  std::uint64_t seed = 0;
  index epoch = 0, sample = 0, view = 0;
};

namespace detail {

inline box draw_crop(const view_recipe& v, int width, int height, random& draw) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double share = draw.uniform(v.area_low, v.area_high);
    const crop_size size = size_of_crop(
        width, height, share, draw.uniform(std::log(v.aspect_low), std::log(v.aspect_high)));
    if (!size.fits) continue;
    const int top = int(draw.below(std::uint64_t(height - size.height + 1)));
    const int left = int(draw.below(std::uint64_t(width - size.width + 1)));
    return {top, left, size.height, size.width};
  }
  return fallback_crop(width, height, v.aspect_low, v.aspect_high);
}

inline jitter_draw draw_jitter(const view_recipe& v, random& draw) {
  jitter_draw j;
  for (std::uint64_t i = 0; i < 3; ++i) std::swap(j.order[i], j.order[i + draw.below(4 - i)]);
  const auto factor = [&](double strength) {
    return float(draw.uniform(std::max(0.0, 1 - strength), 1 + strength));
  };
  j.brightness = factor(v.brightness);
  j.contrast = factor(v.contrast);
  j.saturation = factor(v.saturation);
  j.hue = draw.uniform(-v.hue, v.hue);
  return j;
}

inline void apply_jitter(image& p, const jitter_draw& j) {
  for (const int which : j.order) {
    switch (which) {
      case 0:
        adjust_brightness(p, j.brightness);
        break;
      case 1:
        adjust_contrast(p, j.contrast);
        break;
      case 2:
        adjust_saturation(p, j.saturation);
        break;
      default:
        adjust_hue(p, j.hue);
    }
  }
}

}  // namespace detail

/// What is drawn for a view of a picture of this size.
inline view_draw draw_view(const view_recipe& v, int width, int height, const view_key& key) {
  random crops(key.seed, purpose::crop, key.epoch, key.sample, key.view);
  random colors(key.seed, purpose::color, key.epoch, key.sample, key.view);
  random blurs(key.seed, purpose::blur, key.epoch, key.sample, key.view);
  view_draw d;
  d.part = detail::draw_crop(v, width, height, crops);
  d.flip = crops.uniform() < v.flip;
  if (colors.uniform() < v.jitter) d.jitter = detail::draw_jitter(v, colors);
  d.grey = colors.uniform() < v.grey;
  if (blurs.uniform() < v.blur) d.blur = float(blurs.uniform(v.blur_low, v.blur_high));
  d.solarize = blurs.uniform() < v.solarize;
  return d;
}

/// The view as a picture, size x size.
inline image apply_view(const image& from, const view_recipe& v, const view_draw& d) {
  image p = resize(from, d.part, v.size, v.size);
  if (d.flip) flip(p);
  if (d.jitter) detail::apply_jitter(p, *d.jitter);
  if (d.grey) make_grey(p);
  if (d.blur) v.blurred_by == blur_kind::gaussian ? blur(p, *d.blur) : blur_121(p);
  if (d.solarize) solarize(p, v.solarize_from);
  return p;
}

/// The view as a network sees it: chw (channels, size, size), channels as the picture has.
inline void make_view(const image& from, const view_recipe& v, const normalization& n,
                      const view_key& key, float* chw) {
  to_tensor(apply_view(from, v, draw_view(v, from.width, from.height, key)), n, chw);
}

}  // namespace selfpatch
