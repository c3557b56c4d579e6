// augment: the operations of the published pipeline on 8-bit pictures, byte for byte; each rounds
// to 8 bits.
//
//   flip        rows reversed
//   brightness  blend(0, v, f)
//   contrast    blend(mean luma of the picture, v, f)
//   saturation  blend(luma, v, f)
//   hue         data/hue.hpp
//   grey        luma
//   solarize    v < 128 ? v : 255 - v
//   blur        three box blurs of fractional radius per axis, in place of a Gaussian
//
//   blend(D, I, f) = D + f (I - D) in float, two roundings, cut to 0..255, then truncated
//
// Compilers may fuse a multiplication with the addition after it, which changes pixels; so products
// are made in double, where they are exact, and rounded to float by a conversion.
//
// Pictures have 1 or 3 channels; saturation, hue and grey leave one channel alone.
#pragma once

#include <selfpatch/data/hue.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace selfpatch {

using byte_table = std::array<std::uint8_t, 256>;

/// Every sample through a table.
inline void map_samples(image& p, const byte_table& table) {
  for (std::uint8_t& v : p.pixels) v = table[v];
}

inline void flip(image& p) {
  for (int y = 0; y < p.height; ++y) {
    std::uint8_t* row = p.row(y);
    for (int x = 0, mirror = p.width - 1; x < mirror; ++x, --mirror)
      std::swap_ranges(row + x * p.channels, row + (x + 1) * p.channels, row + mirror * p.channels);
  }
}

/// blend as above: `from` at factor 0, `to` at 1.
inline std::uint8_t blend(int from, int to, float factor) {
  const float t = float(from) + float(double(factor) * (to - from));
  return t <= 0 ? 0 : t >= 255 ? 255 : std::uint8_t(t);
}

namespace detail {

inline void blend_with(image& p, int constant, float factor) {
  byte_table table;
  for (int v = 0; v < 256; ++v) table[std::size_t(v)] = blend(constant, v, factor);
  map_samples(p, table);
}

inline std::uint8_t luma_at(const std::uint8_t* pixel, int channels) {
  return channels == 1 ? pixel[0] : luma(pixel[0], pixel[1], pixel[2]);
}

}  // namespace detail

/// factor >= 0; 1 leaves the picture as it is.
inline void adjust_brightness(image& p, float factor) { detail::blend_with(p, 0, factor); }

/// factor >= 0; 1 leaves the picture as it is.
inline void adjust_contrast(image& p, float factor) {
  std::uint64_t sum = 0;
  const std::size_t count = p.bytes() / std::size_t(p.channels);
  for (std::size_t i = 0; i < count; ++i)
    sum += detail::luma_at(p.pixels.data() + i * std::size_t(p.channels), p.channels);
  detail::blend_with(p, int(double(sum) / double(count) + 0.5), factor);
}

/// factor >= 0; 1 leaves the picture as it is.
inline void adjust_saturation(image& p, float factor) {
  if (p.channels == 1) return;
  std::array<float, 511> scaled;  // factor * difference, rounded once
  for (int d = -255; d <= 255; ++d) scaled[std::size_t(d + 255)] = float(double(factor) * d);
  for (std::size_t i = 0; i < p.bytes(); i += 3) {
    std::uint8_t* v = p.pixels.data() + i;
    const int grey = luma(v[0], v[1], v[2]);
    for (int c = 0; c < 3; ++c) {
      const float t = float(grey) + scaled[std::size_t(v[c] - grey + 255)];
      v[c] = std::uint8_t(std::clamp(t, 0.0f, 255.0f));
    }
  }
}

inline void make_grey(image& p) {
  if (p.channels == 1) return;
  for (std::size_t i = 0; i < p.bytes(); i += 3) {
    std::uint8_t* v = p.pixels.data() + i;
    v[0] = v[1] = v[2] = luma(v[0], v[1], v[2]);
  }
}

/// Samples of `threshold` and above are inverted.
inline void solarize(image& p, int threshold = 128) {
  for (std::uint8_t& v : p.pixels) v = v < threshold ? v : std::uint8_t(255 - v);
}

/// One box blur: 2 whole + 1 full samples and a fraction of one more on either side; weights with
/// 24 fraction bits.
struct box_blur {
  float radius = 0;
  int whole = 0;
  std::uint32_t weight = 0, edge_weight = 0;

  /// Of the three whose succession stands for a Gaussian of this deviation, in pixels, greater than
  /// 0.
  static box_blur of_deviation(float deviation) {
    const auto product = [](float a, float b) { return float(double(a) * double(b)); };
    const float variance = product(deviation, deviation) / 3;
    const auto length = float(std::sqrt(12.0 * double(variance) + 1.0));
    const auto l = float(std::floor((double(length) - 1) / 2));
    float a = product(2 * l + 1, l * (l + 1) - product(3, variance));
    a /= product(6, variance - (l + 1) * (l + 1));
    box_blur b;
    b.radius = l + a;
    b.whole = int(b.radius);
    b.weight = std::uint32_t(float(1 << 24) / (b.radius * 2 + 1));
    b.edge_weight = ((1u << 24) - std::uint32_t(2 * b.whole + 1) * b.weight) / 2;
    return b;
  }
};

namespace detail {

/// out[i] from taps[j][i]: j = 0 and the last are the edges, the 2 whole + 1 between count in full.
inline void box_row(const box_blur& b, const std::uint8_t* const* taps, std::size_t n,
                    std::uint8_t* out) {
  const std::uint32_t weight = b.weight, edge_weight = b.edge_weight;
  const auto weighed = [=](std::uint32_t inner, std::uint32_t edges) {
    return std::uint8_t((weight * inner + edge_weight * edges + (1u << 23)) >> 24);
  };
  const std::uint8_t *before = taps[0], *after = taps[2 * b.whole + 2], *t1 = taps[1];
  if (b.whole == 0) {
    for (std::size_t i = 0; i < n; ++i)
      out[i] = weighed(t1[i], std::uint32_t(before[i]) + after[i]);
  } else if (b.whole == 1) {
    const std::uint8_t *t2 = taps[2], *t3 = taps[3];
    for (std::size_t i = 0; i < n; ++i)
      out[i] = weighed(std::uint32_t(t1[i]) + t2[i] + t3[i], std::uint32_t(before[i]) + after[i]);
  } else {
    for (std::size_t i = 0; i < n; ++i) {
      std::uint32_t inner = 0;
      for (int j = 1; j <= 2 * b.whole + 1; ++j) inner += taps[j][i];
      out[i] = weighed(inner, std::uint32_t(before[i]) + after[i]);
    }
  }
}

/// Three passes along a row of pixels; `padded` holds the row with its ends repeated `reach` times.
inline void blur_row(const box_blur& b, std::uint8_t* row, int width, int channels,
                     std::vector<std::uint8_t>& padded, std::vector<const std::uint8_t*>& taps) {
  const int reach = b.whole + 1;
  const std::size_t pixel = std::size_t(channels), length = std::size_t(width) * pixel;
  padded.resize(length + 2 * std::size_t(reach) * pixel);
  taps.resize(std::size_t(2 * reach + 1));
  for (std::size_t j = 0; j < taps.size(); ++j) taps[j] = padded.data() + j * pixel;
  for (int pass = 0; pass < 3; ++pass) {
    for (int x = -reach; x < 0; ++x)
      std::memcpy(padded.data() + std::size_t(x + reach) * pixel, row, pixel);
    std::memcpy(padded.data() + std::size_t(reach) * pixel, row, length);
    for (int x = 0; x < reach; ++x)
      std::memcpy(padded.data() + length + std::size_t(x + reach) * pixel, row + length - pixel,
                  pixel);
    box_row(b, taps.data(), length, row);
  }
}

}  // namespace detail

/// `radius` is the deviation of the Gaussian meant, in pixels, greater than 0.
inline void blur(image& p, float radius) {
  expects(radius > 0 && radius < 1e4f,
          "blur(image, radius): radius is greater than 0 and below 10,000");
  const box_blur b = box_blur::of_deviation(radius);
  std::vector<std::uint8_t> scratch;
  std::vector<const std::uint8_t*> taps;
  for (int y = 0; y < p.height; ++y)
    detail::blur_row(b, p.row(y), p.width, p.channels, scratch, taps);

  image other(p.width, p.height, p.channels);
  for (int pass = 0; pass < 3; ++pass) {
    for (int y = 0; y < p.height; ++y) {
      for (std::size_t j = 0; j < taps.size(); ++j)
        taps[j] = p.row(std::clamp(y + int(j) - b.whole - 1, 0, p.height - 1));
      detail::box_row(b, taps.data(), p.stride(), other.row(y));
    }
    std::swap(p.pixels, other.pixels);
  }
}

/// The fixed blur of small recipes: weights 1 2 1 across and down, rounded once, edges replicated.
inline void blur_121(image& p) {
  const image from = p;
  const int c = p.channels;
  std::vector<int> column(p.stride());
  for (int y = 0; y < p.height; ++y) {
    const std::uint8_t *above = from.row(std::max(0, y - 1)), *here = from.row(y);
    const std::uint8_t* below = from.row(std::min(p.height - 1, y + 1));
    for (std::size_t i = 0; i < p.stride(); ++i) column[i] = above[i] + 2 * here[i] + below[i];
    std::uint8_t* out = p.row(y);
    for (int x = 0; x < p.width; ++x) {
      const int left = std::max(0, x - 1) * c, middle = x * c,
                right = std::min(p.width - 1, x + 1) * c;
      for (int i = 0; i < c; ++i) {
        const auto at = [&](int from_pixel) { return column[std::size_t(from_pixel + i)]; };
        out[middle + i] = std::uint8_t((at(left) + 2 * at(middle) + at(right) + 8) >> 4);
      }
    }
  }
}

/// What a network sees: (v / 255 - mean) / deviation per channel. One channel uses the first of
/// each.
struct normalization {
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, deviation{0.229f, 0.224f, 0.225f};

  bool operator==(const normalization&) const = default;
};

/// chw (channels, height, width), float.
inline void to_tensor(const image& p, const normalization& n, float* chw) {
  const std::size_t count = p.bytes() / std::size_t(p.channels);
  for (int c = 0; c < p.channels; ++c) {
    const float mean = n.mean[std::size_t(c % 3)], deviation = n.deviation[std::size_t(c % 3)];
    std::array<float, 256> table;
    for (int v = 0; v < 256; ++v) table[std::size_t(v)] = (float(v) / 255 - mean) / deviation;
    const std::uint8_t* in = p.pixels.data() + c;
    float* out = chw + std::size_t(c) * count;
    for (std::size_t i = 0; i < count; ++i) out[i] = table[in[i * std::size_t(p.channels)]];
  }
}

}  // namespace selfpatch
