// decode: JPEG and PNG files to pictures, through libjpeg-turbo and libpng. The one header that
// needs them; link selfpatch::decode.
//
// The content decides, not the name. Values are those of the published pipeline, byte for byte:
// accurate integer DCT, triangle upsampling of chroma; alpha and transparency dropped, not blended;
// 16-bit color keeps its high byte; gamma and color profiles ignored. Sizes are checked against
// max_pixels, and against what so many bytes can hold at all, before anything is allocated.
//
// Both libraries leave by longjmp. So a function that calls setjmp has no local object with a
// destructor; what must be released belongs to a reader that outlives it.
#pragma once

#include <selfpatch/data/format.hpp>

#include <jerror.h>
#include <jpeglib.h>
#include <png.h>

#include <csetjmp>
#include <cstdio>

namespace selfpatch {

namespace detail {

/// A byte of the file holds at most `pixels_per_byte` pixels; a header that needs more lies.
inline void check_size(const char* what, std::size_t width, std::size_t height,
                       std::size_t file_bytes, std::size_t pixels_per_byte,
                       const decode_options& options) {
  const auto says = [&] {
    return std::string(what) + " of " + dimensions(width, height) + " pixels";
  };
  if (width == 0 || height == 0)
    throw error(problem{.what = "cannot decode the picture", .found = says()});
  if (height > options.max_pixels / width)
    throw error(problem{.what = "the picture is too large",
                        .expected = "at most " + std::to_string(options.max_pixels) + " pixels",
                        .found = says(),
                        .hint = "raise --max-pixels"});
  if (width * height / pixels_per_byte > file_bytes)
    throw error(problem{.what = "the picture is damaged",
                        .found = says() + " declared in " + std::to_string(file_bytes) + " bytes"});
}

[[noreturn]] inline void fail(const char* what, const char* reason) {
  throw error(problem{.what = std::string("cannot decode the ") + what, .hint = reason});
}

// JPEG

class jpeg_reader {
 public:
  explicit jpeg_reader(bytes_view file) : file_(file) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) {
      auto& self = of(info);
      info->err->format_message(info, self.message_);
      std::longjmp(self.escape_, 1);
    };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level >= 0) return;  // a trace
      auto& self = of(info);
      self.cut_ |= info->err->msg_code == JWRN_HIT_MARKER && self.exhausted_;
    };
    errors_.output_message = [](j_common_ptr) {};
    monitor_.progress_monitor = [](j_common_ptr info) {
      constexpr int most_scans = 500;  // ten thousand keep a decoder busy for minutes
      if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > most_scans)
        of(info).stop("too many scans");
    };
    input_.init_source = [](j_decompress_ptr) {};
    input_.term_source = [](j_decompress_ptr) {};
    input_.fill_input_buffer = &jpeg_reader::refill;
    input_.skip_input_data = &jpeg_reader::skip;
    input_.resync_to_restart = jpeg_resync_to_restart;
    input_.next_input_byte = reinterpret_cast<const JOCTET*>(file.data());
    input_.bytes_in_buffer = file.size();
  }
  jpeg_reader(const jpeg_reader&) = delete;
  jpeg_reader& operator=(const jpeg_reader&) = delete;
  ~jpeg_reader() {
    if (created_) jpeg_destroy_decompress(&info_);
  }

  image read(const decode_options& options) {
    if (!read_header()) fail("JPEG", message_);
    // 64 coefficients cost a bit at least, unless they are coded arithmetically.
    check_size("JPEG", info_.image_width, info_.image_height, file_.size(),
               info_.arith_code ? 1u << 20 : 512, options);
    const int stored = info_.out_color_space == JCS_CMYK        ? 4
                       : info_.out_color_space == JCS_GRAYSCALE ? 1
                                                                : 3;
    image picture(int(info_.image_width), int(info_.image_height), stored);
    if (!read_rows(picture.pixels.data(), picture.stride())) fail("JPEG", message_);
    if (cut_ || (exhausted_ && jpeg_has_multiple_scans(&info_)))
      fail("JPEG", "the file ends before the picture does");
    return stored == 4 ? from_cmyk(picture) : picture;
  }

 private:
  static jpeg_reader& of(j_common_ptr info) {
    return *static_cast<jpeg_reader*>(info->client_data);
  }

  [[noreturn]] void stop(const char* reason) {
    std::snprintf(message_, sizeof message_, "%s", reason);
    std::longjmp(escape_, 1);
  }

  static boolean refill(j_decompress_ptr info) {  // past the end: close the file in its place
    static constexpr JOCTET end_of_image[] = {0xff, JPEG_EOI};
    of(reinterpret_cast<j_common_ptr>(info)).exhausted_ = true;
    info->src->next_input_byte = end_of_image;
    info->src->bytes_in_buffer = 2;
    return TRUE;
  }

  static void skip(j_decompress_ptr info, long count) {
    if (count <= 0) return;
    auto& in = *info->src;
    if (std::size_t(count) > in.bytes_in_buffer) {
      refill(info);
      return;
    }
    in.next_input_byte += count;
    in.bytes_in_buffer -= std::size_t(count);
  }

  bool read_header() {
    if (setjmp(escape_)) return false;
    jpeg_create_decompress(&info_);
    created_ = true;
    info_.src = &input_;
    info_.progress = &monitor_;
    jpeg_read_header(&info_, TRUE);
    if (exhausted_) stop("the file ends inside the header");
    if (info_.data_precision != 8) stop("samples of other than 8 bits");
    switch (info_.jpeg_color_space) {
      case JCS_GRAYSCALE:
        info_.out_color_space = JCS_GRAYSCALE;
        break;
      case JCS_CMYK:
      case JCS_YCCK:
        info_.out_color_space = JCS_CMYK;
        break;
      default:
        info_.out_color_space = JCS_RGB;
    }
    info_.dct_method = JDCT_ISLOW;
    info_.do_fancy_upsampling = TRUE;
    return true;
  }

  bool read_rows(std::uint8_t* pixels, std::size_t stride) {
    if (setjmp(escape_)) return false;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + info_.output_scanline * stride;
      jpeg_read_scanlines(&info_, &row, 1);
      if (cut_) return true;
    }
    return true;
  }

  /// Inks are stored inverted, as Adobe's programs do and every reader assumes. No color
  /// management.
  static image from_cmyk(const image& inks) {
    const auto scaled = [](int a, int b) {
      const int t = a * b + 128;
      return ((t >> 8) + t) >> 8;
    };
    image rgb(inks.width, inks.height, 3);
    const std::uint8_t* in = inks.pixels.data();
    for (std::size_t i = 0; i < rgb.bytes(); i += 3, in += 4)
      for (std::size_t c = 0; c < 3; ++c)
        rgb.pixels[i + c] = std::uint8_t(in[3] - scaled(255 - in[c], in[3]));
    return rgb;
  }

  bytes_view file_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr monitor_{};
  jpeg_source_mgr input_{};
  std::jmp_buf escape_;
  char message_[JMSG_LENGTH_MAX]{};
  bool created_ = false, exhausted_ = false, cut_ = false;
};

// PNG

class png_reader {
 public:
  explicit png_reader(bytes_view file) : file_(file) {}
  png_reader(const png_reader&) = delete;
  png_reader& operator=(const png_reader&) = delete;
  ~png_reader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  image read(const decode_options& options) {
    if (!read_header(options.labels)) fail("PNG", message_);
    // Deflate makes less than 1032 bytes of one.
    check_size("PNG", width_, height_, file_.size(), 1032 * 8 / pixel_bits_, options);
    image picture(int(width_), int(height_), channels_ * (deep_grey_ ? 2 : 1));
    if (!read_rows(picture.pixels.data(), picture.stride())) fail("PNG", message_);
    return deep_grey_ ? from_deep_grey(picture, options) : picture;
  }

 private:
  static void refuse(png_structp png, png_const_charp reason) {
    auto& self = *static_cast<png_reader*>(png_get_error_ptr(png));
    std::snprintf(self.message_, sizeof self.message_, "%s", reason);
    png_longjmp(png, 1);
  }
  static void ignore(png_structp, png_const_charp) {}

  static void take(png_structp png, png_bytep to, std::size_t count) {
    auto& self = *static_cast<png_reader*>(png_get_io_ptr(png));
    if (count > self.file_.size() - self.at_)
      png_error(png, "the file ends before the picture does");
    std::memcpy(to, self.file_.data() + self.at_, count);
    self.at_ += count;
  }

  bool read_header(bool labels) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, refuse, ignore);
    if (!png_) return out_of_memory();
    if (setjmp(png_jmpbuf(png_))) return false;
    info_ = png_create_info_struct(png_);
    if (!info_) return out_of_memory();
    png_set_read_fn(png_, this, take);
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);  // check_size says it better
    // Nothing but the picture is wanted: text, profiles and the like may be huge when unpacked.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_chunk_malloc_max(png_, 1 << 20);
    png_read_info(png_, info_);
    width_ = png_get_image_width(png_, info_);
    height_ = png_get_image_height(png_, info_);
    choose_samples(labels);
    return true;
  }

  void choose_samples(bool labels) {
    const int color = png_get_color_type(png_, info_), depth = png_get_bit_depth(png_, info_);
    const bool grey = (color & PNG_COLOR_MASK_COLOR) == 0;
    pixel_bits_ = std::size_t(depth) * png_get_channels(png_, info_);
    deep_grey_ = color == PNG_COLOR_TYPE_GRAY && depth == 16;
    if (depth == 16 && !deep_grey_) png_set_strip_16(png_);
    if (labels && depth < 8) {
      png_set_packing(png_);
    } else if (color == PNG_COLOR_TYPE_PALETTE && !labels) {
      png_set_palette_to_rgb(png_);
    } else if (grey && depth < 8) {
      png_set_expand_gray_1_2_4_to_8(png_);
    }
    png_set_strip_alpha(png_);
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    channels_ = int(png_get_channels(png_, info_));
    if (png_get_rowbytes(png_, info_) !=
        std::size_t(width_) * std::size_t(channels_) * (deep_grey_ ? 2u : 1u))
      png_error(png_, "unexpected sample layout");
  }

  bool read_rows(std::uint8_t* pixels, std::size_t stride) {
    if (setjmp(png_jmpbuf(png_))) return false;
    for (int pass = 0; pass < passes_; ++pass)
      for (std::size_t y = 0; y < height_; ++y) png_read_row(png_, pixels + y * stride, nullptr);
    return true;
  }

  bool out_of_memory() {
    std::snprintf(message_, sizeof message_, "out of memory");
    return false;
  }

  /// Samples are stored high byte first.
  static image from_deep_grey(const image& deep, const decode_options& options) {
    image grey(deep.width, deep.height, 1);
    for (std::size_t i = 0; i < grey.bytes(); ++i) {
      const std::uint8_t high = deep.pixels[2 * i], low = deep.pixels[2 * i + 1];
      grey.pixels[i] = options.grey16 == grey16::shift ? high : high ? 255 : low;
    }
    return grey;
  }

  bytes_view file_;
  std::size_t at_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::size_t width_ = 0, height_ = 0, pixel_bits_ = 1;
  int channels_ = 0, passes_ = 1;
  bool deep_grey_ = false;
  char message_[256]{};
};

}  // namespace detail

/// The picture in a JPEG or PNG file, RGB or (options.channels == 1, options.labels) one channel.
/// Throws error for everything else, naming the format where it is known; a damaged or truncated
/// file is refused, never completed.
inline image decode(bytes_view file, const decode_options& options = {}) {
  const format is = sniff(file);
  if (is != format::jpeg && is != format::png)
    throw error(problem{.what = "cannot decode the picture",
                        .expected = "JPEG or PNG",
                        .found = file.empty() ? "an empty file" : name_of(is),
                        .hint = file.empty() || is == format::unknown ? "" : "convert it to PNG"});
  image picture = is == format::jpeg ? detail::jpeg_reader(file).read(options)
                                     : detail::png_reader(file).read(options);
  if (options.exif) picture = oriented(std::move(picture), orientation(file));
  if (!options.labels) return with_channels(std::move(picture), options.channels);
  expects(picture.channels == 1, "a label map has one channel: palette or grey PNG");
  return picture;
}

}  // namespace selfpatch
