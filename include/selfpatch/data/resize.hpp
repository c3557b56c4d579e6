// resize: antialiased resampling with 22-bit fixed-point weights, horizontal pass first, rounded to
// 8 bits after each pass: byte for byte what the published pipeline computes.
//
// One axis, n_in -> n_out, scale = n_in / n_out, s = max(scale, 1), radius 2 s (bicubic) or s
// (bilinear):
//
//   c   = (x + 1/2) scale                             the center of output x
//   lo  = max(0, trunc(c - radius + 1/2))             it reads lo .. hi-1
//   hi  = min(n_in, trunc(c + radius + 1/2))
//   w_t = f((t + lo - c + 1/2) / s) / their sum       t = 0 .. hi-lo-1
//   K_t = round(2^22 w_t)                             halves away from zero
//   out = clip((2^21 + sum_t K_t in[lo + t]) >> 22)
//
//   bicubic    f(u) = (a+2)|u|^3 - (a+3)|u|^2 + 1      for |u| < 1,  a = -1/2
//                     a|u|^3 - 5a|u|^2 + 8a|u| - 4a    for |u| < 2
//   bilinear   f(u) = 1 - |u|                          for |u| < 1
//
// The weights are computed in double, one rounding per operation; a fused multiply-add would change
// some of them.
#pragma once

#include <selfpatch/data/image.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace selfpatch {

enum class filter { bicubic, bilinear };

/// A part of a picture, in pixels.
struct box {
  int top = 0, left = 0, height = 0, width = 0;

  bool operator==(const box&) const = default;
};

/// The weights of one axis. Output x is the sum over t < count[x] of weights[x * taps + t] *
/// in[first[x] + t].
struct resampling {
  int taps = 0;
  std::vector<int> first, count;
  std::vector<std::int32_t> weights;  ///< 22 fraction bits
};

namespace detail {

/// a * b rounded to double, whatever follows: through memory no compiler fuses.
inline double product(double a, double b) {
  volatile double p = a * b;
  return p;
}

inline double filter_value(filter f, double u) {
  u = std::abs(u);
  if (f == filter::bilinear) return u < 1 ? 1 - u : 0;
  constexpr double a = -0.5;
  if (u < 1) return product(product(product(a + 2, u) - (a + 3), u), u) + 1;
  if (u < 2) return product(product(product(u - 5, u) + 8, u) - 4, a);
  return 0;
}

}  // namespace detail

/// The weights for one axis of n_in >= 1 pixels made n_out >= 1.
inline resampling resampling_weights(int n_in, int n_out, filter f) {
  const double scale = double(n_in) / n_out, widening = std::max(scale, 1.0),
               inverse = 1.0 / widening;
  const double radius = (f == filter::bicubic ? 2.0 : 1.0) * widening;
  resampling r;
  r.taps = int(std::ceil(radius)) * 2 + 1;
  r.first.resize(std::size_t(n_out));
  r.count.resize(std::size_t(n_out));
  r.weights.resize(std::size_t(n_out) * std::size_t(r.taps));
  std::vector<double> w(static_cast<std::size_t>(r.taps));
  for (int x = 0; x < n_out; ++x) {
    const double center = detail::product(x + 0.5, scale);
    const int lo = std::max(0, int(center - radius + 0.5)),
              hi = std::min(n_in, int(center + radius + 0.5));
    double sum = 0;
    for (int t = 0; t < hi - lo; ++t) {
      const double value = detail::filter_value(f, detail::product(t + lo - center + 0.5, inverse));
      w[std::size_t(t)] = value;
      sum += value;
    }
    r.first[std::size_t(x)] = lo;
    r.count[std::size_t(x)] = hi - lo;
    for (int t = 0; t < hi - lo; ++t) {
      const double k = (sum != 0 ? w[std::size_t(t)] / sum : w[std::size_t(t)]) * (1 << 22);
      r.weights[std::size_t(x * r.taps + t)] = std::int32_t(k < 0 ? k - 0.5 : k + 0.5);
    }
  }
  return r;
}

namespace detail {

/// Rows become weighted sums of rows: out (r.first.size(), length) from in (n_in, length), `stride`
/// bytes apart. Blocks of a row stay in registers and the first cache while their taps are summed.
inline void resample_rows(const resampling& r, const std::uint8_t* in, std::size_t stride,
                          std::size_t length, std::uint8_t* out, std::size_t out_stride) {
  constexpr std::size_t block = 256;
  alignas(64) std::array<std::int32_t, block> sum;
  for (std::size_t x = 0; x < r.first.size(); ++x) {
    const std::int32_t* weights = r.weights.data() + x * std::size_t(r.taps);
    const std::uint8_t* first = in + std::size_t(r.first[x]) * stride;
    for (std::size_t begin = 0; begin < length; begin += block) {
      const std::size_t n = std::min(block, length - begin);
      sum.fill(1 << 21);
      for (int t = 0; t < r.count[x]; ++t) {
        const std::int32_t k = weights[t];
        const std::uint8_t* row = first + std::size_t(t) * stride + begin;
        for (std::size_t i = 0; i < n; ++i) sum[i] += k * row[i];
      }
      std::uint8_t* to = out + x * out_stride + begin;
      for (std::size_t i = 0; i < n; ++i) to[i] = std::uint8_t(std::clamp(sum[i] >> 22, 0, 255));
    }
  }
}

/// to[x][y] = from[y][x] for pixels of Channels bytes.
template <int Channels>
void transpose_pixels(const std::uint8_t* from, std::size_t stride, int rows, int cols,
                      std::uint8_t* to) {
  constexpr int tile = 16;
  const std::size_t to_stride = std::size_t(rows) * Channels;
  for (int y0 = 0; y0 < rows; y0 += tile) {
    for (int x0 = 0; x0 < cols; x0 += tile) {
      const int y1 = std::min(rows, y0 + tile), x1 = std::min(cols, x0 + tile);
      for (int x = x0; x < x1; ++x)
        for (int y = y0; y < y1; ++y)
          std::memcpy(to + std::size_t(x) * to_stride + std::size_t(y) * Channels,
                      from + std::size_t(y) * stride + std::size_t(x) * Channels, Channels);
    }
  }
}

inline void transpose_pixels(const std::uint8_t* from, std::size_t stride, int rows, int cols,
                             int channels, std::uint8_t* to) {
  channels == 1 ? transpose_pixels<1>(from, stride, rows, cols, to)
                : transpose_pixels<3>(from, stride, rows, cols, to);
}

/// The columns of `rows` rows. Done on the transposed picture, where a weight meets whole rows and
/// loops are vectors.
inline image resample_columns(const std::uint8_t* from, std::size_t stride, int rows, int cols,
                              int channels, int width, filter f) {
  const std::size_t length = std::size_t(rows) * std::size_t(channels);
  std::vector<std::uint8_t> turned(length * std::size_t(cols)),
      narrowed(length * std::size_t(width));
  transpose_pixels(from, stride, rows, cols, channels, turned.data());
  resample_rows(resampling_weights(cols, width, f), turned.data(), length, length, narrowed.data(),
                length);
  image out(width, rows, channels);
  transpose_pixels(narrowed.data(), length, width, rows, channels, out.pixels.data());
  return out;
}

}  // namespace detail

/// Throws error unless the box lies inside the picture and is not empty.
inline void check_inside(const image& from, const box& b) {
  expects(b.width > 0 && b.height > 0 && b.left >= 0 && b.top >= 0 &&
              b.left <= from.width - b.width && b.top <= from.height - b.height,
          "a box must lie inside the picture and not be empty");
}

inline image crop(const image& from, const box& b) {
  check_inside(from, b);
  image out(b.width, b.height, from.channels);
  for (int y = 0; y < b.height; ++y)
    std::memcpy(out.row(y), from.row(b.top + y) + std::size_t(b.left) * std::size_t(from.channels),
                out.stride());
  return out;
}

/// A part of a picture (1 or 3 channels) made width x height. Pixels outside the part are never
/// read; a side that stays as it is, is copied.
inline image resize(const image& from, const box& b, int width, int height,
                    filter f = filter::bicubic) {
  check_inside(from, b);
  expects(from.channels == 1 || from.channels == 3,
          "resize(image, ...): the picture has 1 or 3 channels");
  const std::uint8_t* first = from.row(b.top) + std::size_t(b.left) * std::size_t(from.channels);
  if (b.height == height)
    return b.width == width ? crop(from, b)
                            : detail::resample_columns(first, from.stride(), b.height, b.width,
                                                       from.channels, width, f);

  const resampling vertical = resampling_weights(b.height, height, f);
  image out(width, height, from.channels);
  if (b.width == width) {
    detail::resample_rows(vertical, first, from.stride(), out.stride(), out.pixels.data(),
                          out.stride());
    return out;
  }
  const image narrowed =
      detail::resample_columns(first, from.stride(), b.height, b.width, from.channels, width, f);
  detail::resample_rows(vertical, narrowed.pixels.data(), narrowed.stride(), narrowed.stride(),
                        out.pixels.data(), out.stride());
  return out;
}

inline image resize(const image& from, int width, int height, filter f = filter::bicubic) {
  return resize(from, box{0, 0, from.height, from.width}, width, height, f);
}

/// The shorter side made `side`, the other in proportion and truncated.
inline image resize_shorter(const image& from, int side, filter f = filter::bicubic) {
  const bool tall = from.height >= from.width;
  const auto longer = [&](int of, int by) {
    return std::max(1, int(std::int64_t(side) * of / by));
  };
  return tall ? resize(from, side, longer(from.height, from.width), f)
              : resize(from, longer(from.width, from.height), side, f);
}

/// The middle, side x side; a picture that is smaller is refused.
inline image center_crop(const image& from, int side) {
  const auto offset = [&](int length) { return int(std::nearbyint((length - side) / 2.0)); };
  return crop(from, {offset(from.height), offset(from.width), side, side});
}

}  // namespace selfpatch
