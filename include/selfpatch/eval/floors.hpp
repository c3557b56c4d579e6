// floors: features that have learned nothing. What a network is worth shows beside them.
//
//   pixel_features       (N, p p channels)       the values of each patch, as the network sees them
//   mean_color_features  (N, channels)           their mean
//   thumbnail_feature    (side side channels)    the whole picture, small, mean-free, of length 1
//
// Cosines of values that are all positive see little but hue; centered values also see what is
// light and what is dark.
#pragma once

#include <selfpatch/core/tensor.hpp>
#include <selfpatch/data/augment.hpp>
#include <selfpatch/data/resize.hpp>

#include <cmath>
#include <vector>

namespace selfpatch {

/// Numbers per patch, (N, C).
using patch_matrix = tensor<float, shape<dyn, dyn>>;

/// Patches row by row; what is beyond the last whole patch is left out.
inline patch_matrix pixel_features(const image& p, int patch, const normalization& n = {}) {
  const int rows = p.height / patch, cols = p.width / patch, c = p.channels;
  patch_matrix x(shape<dyn, dyn>(rows * cols, patch * patch * c), uninitialized);
  float* out = x.data();
  for (int i = 0; i < rows * cols; ++i)
    for (int y = 0; y < patch; ++y) {
      const std::uint8_t* in = p.row(i / cols * patch + y) + i % cols * patch * c;
      for (int v = 0; v < patch * c; ++v) {
        const auto channel = std::size_t(v % c);
        *out++ = (float(in[v]) / 255 - n.mean[channel]) / n.deviation[channel];
      }
    }
  return x;
}

inline patch_matrix mean_color_features(const image& p, int patch, const normalization& n = {}) {
  const patch_matrix pixels = pixel_features(p, patch, n);
  const index c = p.channels;
  patch_matrix x(shape<dyn, dyn>(pixels.extent(0), c));
  for (index i = 0; i < pixels.extent(0); ++i)
    for (index v = 0; v < pixels.extent(1); ++v)
      x.data()[i * c + v % c] += pixels.data()[i * pixels.extent(1) + v] / float(patch * patch);
  return x;
}

/// The picture at side x side, less its mean, of length 1 (0 for a picture of one color).
inline std::vector<float> thumbnail_feature(const image& p, int side = 16) {
  const image small = resize(p, side, side, filter::bilinear);
  std::vector<float> x(small.pixels.begin(), small.pixels.end());
  double sum = 0, squares = 0;
  for (const float v : x) sum += v;
  for (float& v : x) {
    v -= float(sum / double(x.size()));
    squares += double(v) * v;
  }
  const float scale = squares > 0 ? float(1 / std::sqrt(squares)) : 0;
  for (float& v : x) v *= scale;
  return x;
}

}  // namespace selfpatch
