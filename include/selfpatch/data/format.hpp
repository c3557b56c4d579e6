// format: what a file is, told by its first bytes, and which way up its picture is to be shown
// (EXIF). No library is needed for either; every access is bounded.
#pragma once

#include <selfpatch/data/image.hpp>

#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace selfpatch {

using bytes_view = std::span<const std::byte>;

enum class grey16 {
  clip,  ///< min(v, 255), the published behavior: nearly white pictures
  shift  ///< v >> 8
};

/// How files become pictures.
struct decode_options {
  std::size_t max_pixels = 64'000'000;  ///< checked before anything is allocated
  int channels = 3;                     ///< of the result: 3, or 1 (luma)
  selfpatch::grey16 grey16 = grey16::clip;
  /// Turn and mirror as the EXIF orientation says; the published pipeline does not.
  bool exif = false;
  /// One channel of stored values: palette indices, or grey samples unscaled.
  bool labels = false;
};

/// What turns bytes into a picture: decode (data/decode.hpp) or your own. Must be safe to call from
/// many threads; throws selfpatch::error for what it cannot read.
using decoder = image (*)(bytes_view, const decode_options&);

enum class format {
  unknown,
  jpeg,
  png,
  gif,
  webp,
  bmp,
  tiff,
  pnm,
  jpeg2000,
  heif,
  pdf,
  html,
  gzip,
  zstd
};

namespace detail {

inline bool begins(bytes_view bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() &&
         std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

inline unsigned byte_at(bytes_view bytes, std::size_t i) {
  return std::to_integer<unsigned>(bytes[i]);
}

inline bool is_pnm(bytes_view b) {
  return b.size() > 2 && byte_at(b, 0) == 'P' && byte_at(b, 1) >= '1' && byte_at(b, 1) <= '7' &&
         (byte_at(b, 2) == '\n' || byte_at(b, 2) == ' ' || byte_at(b, 2) == '\r' ||
          byte_at(b, 2) == '\t');
}

}  // namespace detail

/// Told by content, never by name.
inline format sniff(bytes_view b) {
  using detail::begins;
  using namespace std::string_view_literals;
  if (begins(b, "\xff\xd8"sv)) return format::jpeg;
  if (begins(b, "\x89PNG\r\n\x1a\n"sv)) return format::png;
  if (begins(b, "GIF8"sv)) return format::gif;
  if (begins(b, "RIFF"sv) && begins(b, "WEBP"sv, 8)) return format::webp;
  if (begins(b, "BM"sv) && b.size() > 26) return format::bmp;
  if (begins(b, "II*\0"sv) || begins(b, "MM\0*"sv) || begins(b, "II+\0"sv) || begins(b, "MM\0+"sv))
    return format::tiff;
  if (detail::is_pnm(b)) return format::pnm;
  if (begins(b, "\0\0\0\x0cjP  "sv) || begins(b, "\xff\x4f\xff\x51"sv)) return format::jpeg2000;
  if (begins(b, "ftyp"sv, 4)) return format::heif;
  if (begins(b, "%PDF"sv)) return format::pdf;
  if (begins(b, "<!DOCTYPE"sv) || begins(b, "<html"sv) || begins(b, "<!doctype"sv))
    return format::html;
  if (begins(b, "\x1f\x8b"sv)) return format::gzip;
  if (begins(b, "\x28\xb5\x2f\xfd"sv)) return format::zstd;
  return format::unknown;
}

inline const char* name_of(format f) {
  switch (f) {
    case format::jpeg:
      return "JPEG";
    case format::png:
      return "PNG";
    case format::gif:
      return "GIF";
    case format::webp:
      return "WebP";
    case format::bmp:
      return "BMP";
    case format::tiff:
      return "TIFF";
    case format::pnm:
      return "PNM (PPM, PGM)";
    case format::jpeg2000:
      return "JPEG 2000";
    case format::heif:
      return "HEIF or AVIF";
    case format::pdf:
      return "PDF";
    case format::html:
      return "a web page";
    case format::gzip:
      return "gzip";
    case format::zstd:
      return "zstd";
    case format::unknown:
      break;
  }
  return "unknown content";
}

namespace detail {

/// Numbers of a TIFF block in its own byte order; 0 where it ends before.
struct tiff_reader {
  bytes_view block;
  bool big_endian;

  unsigned u16(std::size_t at) const {
    if (at + 2 > block.size()) return 0;
    const unsigned a = byte_at(block, at), b = byte_at(block, at + 1);
    return big_endian ? a << 8 | b : b << 8 | a;
  }
  std::size_t u32(std::size_t at) const {
    const std::size_t a = u16(at), b = u16(at + 2);
    return big_endian ? a << 16 | b : b << 16 | a;
  }
};

/// Orientation 1..8 in a TIFF block as EXIF uses it; 1 where there is none or the block makes no
/// sense.
inline int tiff_orientation(bytes_view block) {
  using namespace std::string_view_literals;
  const bool big = begins(block, "MM\0*"sv);
  if (!big && !begins(block, "II*\0"sv)) return 1;
  const tiff_reader in{block, big};
  const std::size_t directory = in.u32(4);
  if (directory + 2 > block.size()) return 1;
  const unsigned entries = in.u16(directory);
  for (unsigned e = 0; e < entries; ++e) {
    const std::size_t at = directory + 2 + 12 * std::size_t(e);
    if (at + 12 > block.size()) return 1;
    if (in.u16(at) != 0x0112) continue;
    const unsigned value = in.u16(at + 8);
    return in.u16(at + 2) == 3 && value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 1;
}

inline int jpeg_orientation(bytes_view file) {
  using namespace std::string_view_literals;
  for (std::size_t at = 2; at + 4 <= file.size();) {
    if (byte_at(file, at) != 0xff) return 1;
    const unsigned marker = byte_at(file, at + 1);
    if (marker == 0xff) {  // fill byte
      ++at;
      continue;
    }
    if (marker == 0xd9 || marker == 0xda) return 1;  // pixels follow
    const std::size_t length = byte_at(file, at + 2) << 8 | byte_at(file, at + 3);
    if (length < 2 || at + 2 + length > file.size()) return 1;
    if (marker == 0xe1 && length >= 8 && begins(file, "Exif\0\0"sv, at + 4))
      return tiff_orientation(file.subspan(at + 10, length - 8));
    at += 2 + length;
  }
  return 1;
}

inline int png_orientation(bytes_view file) {
  using namespace std::string_view_literals;
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = tiff_reader{file, true}.u32(at);
    if (length > file.size() - at - 12 || begins(file, "IEND"sv, at + 4)) return 1;
    if (begins(file, "eXIf"sv, at + 4)) return tiff_orientation(file.subspan(at + 8, length));
    at += 12 + length;
  }
  return 1;
}

}  // namespace detail

/// The EXIF orientation of a JPEG or PNG file, 1..8; 1 (as stored) where there is none.
inline int orientation(bytes_view file) {
  switch (sniff(file)) {
    case format::jpeg:
      return detail::jpeg_orientation(file);
    case format::png:
      return detail::png_orientation(file);
    default:
      return 1;
  }
}

/// The picture as it is to be shown. Orientation: 2 mirrored, 3 turned by 180 degrees, 4 upside
/// down, 5 transposed, 6 turned right, 7 transposed across the other diagonal, 8 turned left.
inline image oriented(image from, int orientation) {
  if (orientation <= 1 || orientation > 8) return from;
  const bool swaps = orientation >= 5;
  image to(swaps ? from.height : from.width, swaps ? from.width : from.height, from.channels);
  for (int y = 0; y < to.height; ++y) {
    for (int x = 0; x < to.width; ++x) {
      int u = swaps ? y : x, v = swaps ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        u = from.width - 1 - u;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        v = from.height - 1 - v;
      std::memcpy(to.row(y) + x * to.channels, from.row(v) + u * from.channels,
                  std::size_t(from.channels));
    }
  }
  return to;
}

}  // namespace selfpatch
