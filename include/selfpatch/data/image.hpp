// image: a picture of 8-bit samples in rows, channels interleaved (RGBRGB..., or one grey channel).
//
//   image photo(640, 480, 3);
//   photo.row(y)[3 * x + 1]                                  // green at (x, y)
//
// The published pipeline works on 8-bit RGB and rounds to 8 bits after every operation; deeper
// samples are brought to 8 bits when a file is decoded (decode_options::grey16).
#pragma once

#include <selfpatch/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace selfpatch {

struct image {
  int width = 0, height = 0, channels = 3;
  std::vector<std::uint8_t> pixels;  ///< height x width x channels

  image() = default;
  /// Black. Sides and channels are at least 1.
  image(int width, int height, int channels)
      : width(width),
        height(height),
        channels(channels),
        pixels(checked_size(width, height, channels)) {}

  std::uint8_t* row(int y) { return pixels.data() + std::size_t(y) * stride(); }
  const std::uint8_t* row(int y) const { return pixels.data() + std::size_t(y) * stride(); }
  std::size_t stride() const { return std::size_t(width) * std::size_t(channels); }
  std::size_t bytes() const { return pixels.size(); }
  bool empty() const { return pixels.empty(); }

  bool operator==(const image&) const = default;

 private:
  static std::size_t checked_size(int width, int height, int channels) {
    expects(width > 0 && height > 0 && channels > 0,
            "image(width, height, channels): each is at least 1");
    return std::size_t(width) * std::size_t(height) * std::size_t(channels);
  }
};

/// "640 x 480", for messages.
inline std::string dimensions(std::size_t width, std::size_t height) {
  return std::to_string(width) + " x " + std::to_string(height);
}
inline std::string dimensions(const image& of) {
  return dimensions(std::size_t(of.width), std::size_t(of.height));
}

/// Brightness of a pixel, 0..255: fixed-point weights of ITU-R 601, rounded.
constexpr std::uint8_t luma(std::uint8_t r, std::uint8_t g, std::uint8_t b) {
  return std::uint8_t((19595u * r + 38470u * g + 7471u * b + 32768u) >> 16);
}

/// The same picture with 1 or 3 channels: grey is replicated, color becomes its luma.
inline image with_channels(image from, int channels) {
  expects(channels == 1 || channels == 3, "with_channels(image, channels): channels is 1 or 3");
  if (from.channels == channels) return from;
  image to(from.width, from.height, channels);
  const std::uint8_t* in = from.pixels.data();
  std::uint8_t* out = to.pixels.data();
  for (std::size_t n = std::size_t(from.width) * std::size_t(from.height); n > 0; --n) {
    if (channels == 1) {
      *out++ = luma(in[0], in[1], in[2]);
      in += 3;
    } else {
      out[0] = out[1] = out[2] = *in++;
      out += 3;
    }
  }
  return to;
}

}  // namespace selfpatch
