// png_write: a picture as the bytes of a PNG file, for pages and folders of pictures.
#pragma once

#include <selfpatch/data/image.hpp>

#include <png.h>

#include <cstddef>
#include <limits>
#include <vector>

namespace selfpatch {

/// Of a grey or RGB picture. Throws error where there is no picture or libpng refuses it.
inline std::vector<std::byte> encode_png(const image& picture) {
  expects(!picture.empty() && (picture.channels == 1 || picture.channels == 3),
          "encode_png(picture): a picture of 1 or 3 channels, not empty");
  expects(picture.stride() <= std::size_t(std::numeric_limits<png_int_32>::max()) &&
              picture.bytes() == picture.stride() * std::size_t(picture.height),
          "encode_png(picture): rows below 2 GB, and as many pixels as its sides say");
  png_image about{};
  about.version = PNG_IMAGE_VERSION;
  about.width = png_uint_32(picture.width);
  about.height = png_uint_32(picture.height);
  about.format = picture.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;

  // Room for the worst case: asking libpng for the size would compress everything twice.
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(about);
  std::vector<std::byte> file(size);
  if (!png_image_write_to_memory(&about, file.data(), &size, 0, picture.pixels.data(), 0, nullptr))
    throw error(
        problem{.what = "cannot encode a PNG of " + dimensions(picture), .where = about.message});
  file.resize(size);
  return file;
}

}  // namespace selfpatch
