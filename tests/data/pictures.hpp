// pictures: files made in memory for tests: PNG byte by byte, JPEG through libjpeg, tar archives
// header by header, and the pictures that go into them.
#pragma once

#include <selfpatch/core/random.hpp>
#include <selfpatch/data/format.hpp>

#include <jpeglib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace made {

namespace sp = selfpatch;

/// Every byte random.
inline sp::image noise(int width, int height, int channels, std::uint64_t seed = 0) {
  sp::image p(width, height, channels);
  sp::random draw(seed, sp::purpose::test, width, height);
  for (auto& v : p.pixels) v = std::uint8_t(draw());
  return p;
}

/// Colors that change slowly, as in a photograph.
inline sp::image smooth(int width, int height) {
  sp::image p(width, height, 3);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      std::uint8_t* v = p.row(y) + 3 * x;
      v[0] = std::uint8_t(40 + 180 * x / width);
      v[1] = std::uint8_t(220 - 150 * y / height);
      v[2] = std::uint8_t(60 + 60 * x / width + 60 * y / height);
    }
  return p;
}

inline sp::image flat(int width, int height, std::array<std::uint8_t, 3> color) {
  sp::image p(width, height, 3);
  for (std::size_t i = 0; i < p.bytes(); ++i) p.pixels[i] = color[i % 3];
  return p;
}

// ---- PNG: color type 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.

inline void append_u32(std::string& to, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) to += char(v >> shift & 255);
}

inline std::string png_chunk(const std::string& name, const std::string& data) {
  std::uint32_t crc = 0xffffffffu;
  const std::string covered = name + data;
  for (const char c : covered) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
  }
  std::string chunk;
  append_u32(chunk, std::uint32_t(data.size()));
  chunk += covered;
  append_u32(chunk, ~crc);
  return chunk;
}

/// A zlib stream of stored blocks.
inline std::string stored(const std::string& data) {
  std::string z("\x78\x01", 2);
  for (std::size_t at = 0; at == 0 || at < data.size();) {
    const std::size_t n = std::min<std::size_t>(65535, data.size() - at);
    z += char(at + n == data.size());
    for (const std::size_t v : {n, ~n}) z.append({char(v & 255), char(v >> 8 & 255)});
    z += data.substr(at, n);
    at += n;
    if (n == 0) break;
  }
  std::uint32_t a = 1, b = 0;
  for (const char c : data) a = (a + static_cast<unsigned char>(c)) % 65521, b = (b + a) % 65521;
  append_u32(z, b << 16 | a);
  return z;
}

struct png_options {
  int color = 2, depth = 8;
  std::string palette{};  ///< RGB triples
  std::string extra{};    ///< whole chunks before the pixels
  bool with_end = true;
};

/// `rows` are the packed samples, row after row, without filter bytes.
inline std::string png(int width, int height, const std::string& rows, const png_options& o = {}) {
  std::string header;
  append_u32(header, std::uint32_t(width));
  append_u32(header, std::uint32_t(height));
  header.append({char(o.depth), char(o.color), 0, 0, 0});
  std::string filtered;
  const std::size_t stride = height > 0 ? rows.size() / std::size_t(height) : 0;
  for (int y = 0; y < height; ++y)
    filtered.append(1, '\0').append(rows, std::size_t(y) * stride, stride);
  std::string file("\x89PNG\r\n\x1a\n", 8);
  file += png_chunk("IHDR", header);
  if (!o.palette.empty()) file += png_chunk("PLTE", o.palette);
  file += o.extra + png_chunk("IDAT", stored(filtered));
  return o.with_end ? file + png_chunk("IEND", "") : file;
}

inline std::string png(const sp::image& p) {
  const std::string rows(reinterpret_cast<const char*>(p.pixels.data()), p.bytes());
  return png(p.width, p.height, rows, {.color = p.channels == 1 ? 0 : 2});
}

// ---- JPEG

struct jpeg_options {
  int quality = 95;
  bool progressive = false;
  J_COLOR_SPACE space = JCS_RGB;  ///< of the pixels given; JCS_CMYK has 4 channels
  std::string exif{};             ///< content of an APP1 segment
};

inline std::string jpeg(const sp::image& p, const jpeg_options& o = {}) {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = JDIMENSION(p.width);
  info.image_height = JDIMENSION(p.height);
  info.input_components = p.channels;
  info.in_color_space = p.channels == 1 ? JCS_GRAYSCALE : o.space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, o.quality, TRUE);
  if (o.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (!o.exif.empty())
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(o.exif.data()),
                      unsigned(o.exif.size()));
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(p.row(int(info.next_scanline)));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string file(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return file;
}

/// A TIFF block that says nothing but the orientation, little-endian.
inline std::string exif_block(int orientation) {
  using namespace std::string_literals;
  return "II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + char(orientation) + "\0\0\0\0\0\0\0"s;
}

// ---- tar

struct tar_options {
  char type = '0';
  std::string magic{
      "ustar\0"
      "00",
      8};
  std::string size{};  ///< the field as it stands, 12 bytes; empty: octal
  std::string prefix{};
  bool good_checksum = true;
};

inline std::string tar_member(const std::string& name, const std::string& data,
                              const tar_options& o = {}) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  char octal[16];
  std::snprintf(octal, sizeof octal, "%011zo", data.size());
  put(0, name.substr(0, 100));
  put(100, "0000644");
  put(124, o.size.empty() ? octal : o.size);
  put(156, std::string(1, o.type));
  put(257, o.magic);
  put(345, o.prefix);
  put(148, "        ");
  unsigned sum = o.good_checksum ? 0 : 1;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  std::snprintf(octal, sizeof octal, "%06o", sum);
  put(148, std::string(octal) + '\0');
  return header + data + std::string((512 - data.size() % 512) % 512, '\0');
}

inline std::string tar_end() { return std::string(1024, '\0'); }

inline sp::bytes_view view(const std::string& bytes) {
  return std::as_bytes(std::span(bytes.data(), bytes.size()));
}

}  // namespace made
