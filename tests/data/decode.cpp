#include <selfpatch/data/decode.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

#include <cstdlib>

namespace sp = selfpatch;
using made::view;

namespace {

int largest_step(const sp::image& a, const sp::image& b) {
  REQUIRE((a.width == b.width && a.height == b.height && a.channels == b.channels));
  int most = 0;
  for (std::size_t i = 0; i < a.bytes(); ++i)
    most = std::max(most, std::abs(int(a.pixels[i]) - int(b.pixels[i])));
  return most;
}

sp::image decoded(const std::string& file, const sp::decode_options& options = {}) {
  return sp::decode(view(file), options);
}

const std::string two_pixels("\x10\x20\x30\x80\x01\x02", 6);

}  // namespace

TEST_CASE("a PNG decodes to the pixels that went into it", "[data][decode]") {
  const sp::image rgb = made::noise(37, 23, 3), grey = made::noise(19, 5, 1);
  CHECK(decoded(made::png(rgb)) == rgb);
  CHECK(decoded(made::png(grey)) == sp::with_channels(grey, 3));
  CHECK(decoded(made::png(grey), {.channels = 1}) == grey);
}

TEST_CASE("alpha is dropped, not blended", "[data][decode]") {
  const std::string rgba("\x10\x20\x30\x00\x80\x01\x02\x40", 8);
  CHECK(decoded(made::png(2, 1, rgba, {.color = 6})).pixels ==
        std::vector<std::uint8_t>{0x10, 0x20, 0x30, 0x80, 0x01, 0x02});
  CHECK(decoded(made::png(2, 1, std::string("\x10\x00\x80\x40", 4), {.color = 4})).pixels ==
        std::vector<std::uint8_t>{0x10, 0x10, 0x10, 0x80, 0x80, 0x80});
  const std::string transparent = made::png_chunk("tRNS", std::string("\0\x10\0\x20\0\x30", 6));
  CHECK(decoded(made::png(2, 1, two_pixels, {.extra = transparent})).pixels ==
        std::vector<std::uint8_t>{0x10, 0x20, 0x30, 0x80, 0x01, 0x02});
}

TEST_CASE("palettes are looked up, and kept as indices for label maps", "[data][decode]") {
  const made::png_options palette{.color = 3, .depth = 4, .palette = "abcdefghi"};
  const std::string indices("\x12", 1);  // two pixels of 4 bits
  CHECK(decoded(made::png(2, 1, indices, palette)).pixels ==
        std::vector<std::uint8_t>{'d', 'e', 'f', 'g', 'h', 'i'});
  const sp::image labels = decoded(made::png(2, 1, indices, palette), {.labels = true});
  CHECK(labels.channels == 1);
  CHECK(labels.pixels == std::vector<std::uint8_t>{1, 2});
  CHECK_THROWS_WITH(decoded(made::png(2, 1, two_pixels), {.labels = true}),
                    contains("one channel"));
}

TEST_CASE("grey of few bits is spread over 0..255, and unscaled for label maps", "[data][decode]") {
  const std::string bits("\x1b", 1);  // 0 1 2 3 in 2 bits each
  const made::png_options two_bits{.color = 0, .depth = 2};
  CHECK(decoded(made::png(4, 1, bits, two_bits), {.channels = 1}).pixels ==
        std::vector<std::uint8_t>{0, 85, 170, 255});
  CHECK(decoded(made::png(4, 1, bits, two_bits), {.labels = true}).pixels ==
        std::vector<std::uint8_t>{0, 1, 2, 3});
}

TEST_CASE("16-bit color keeps its high byte, 16-bit grey is clipped or shifted", "[data][decode]") {
  const std::string rgb("\x12\xff\x34\x00\x56\x80", 6);
  CHECK(decoded(made::png(1, 1, rgb, {.depth = 16})).pixels ==
        std::vector<std::uint8_t>{0x12, 0x34, 0x56});
  const std::string grey("\x00\x7f\x01\x00\xfe\xdc", 6);  // 127, 256, 65244
  const std::string file = made::png(3, 1, grey, {.color = 0, .depth = 16});
  CHECK(decoded(file, {.channels = 1}).pixels == std::vector<std::uint8_t>{127, 255, 255});
  CHECK(decoded(file, {.channels = 1, .grey16 = sp::grey16::shift}).pixels ==
        std::vector<std::uint8_t>{0, 1, 0xfe});
}

TEST_CASE("a JPEG decodes to about the pixels that went into it", "[data][decode]") {
  const sp::image rgb = made::smooth(61, 47);
  CHECK(largest_step(decoded(made::jpeg(rgb)), rgb) < 8);
  CHECK(largest_step(decoded(made::jpeg(rgb, {.progressive = true})), rgb) < 8);
  const sp::image grey = sp::with_channels(rgb, 1);
  CHECK(largest_step(decoded(made::jpeg(grey), {.channels = 1}), grey) < 4);
  CHECK(decoded(made::jpeg(grey)).channels == 3);
}

TEST_CASE("inks of a CMYK JPEG are stored inverted", "[data][decode]") {
  sp::image inks(16, 16, 4);
  for (std::size_t i = 0; i < inks.bytes(); ++i)  // stored: 255 - C, 255 - M, 255 - Y, 255 - K
    inks.pixels[i] = std::array<std::uint8_t, 4>{255, 128, 0, 200}[i % 4];
  const sp::image rgb = decoded(made::jpeg(inks, {.quality = 100, .space = JCS_CMYK}));
  CHECK(largest_step(rgb, made::flat(16, 16, {200, 100, 0})) <= 2);
}

TEST_CASE("a file that ends early is refused wherever it is cut", "[data][decode]") {
  const sp::image p = made::smooth(40, 30);
  for (const std::string& whole :
       {made::jpeg(p), made::jpeg(p, {.progressive = true}), made::png(p)}) {
    for (std::size_t keep = 0; keep + 40 < whole.size(); keep += 1 + whole.size() / 97) {
      INFO(keep << " of " << whole.size());
      CHECK_THROWS_AS(decoded(whole.substr(0, keep)), sp::error);
    }
    CHECK(decoded(whole + "and more").width == 40);
  }
}

TEST_CASE("a header that promises too much is refused before memory is taken", "[data][decode]") {
  CHECK_THROWS_WITH(decoded(made::png(60000, 60000, "", {.color = 0, .depth = 1})),
                    contains("60000 x 60000") && contains("--max-pixels"));
  CHECK_THROWS_WITH(decoded(made::png(7000, 7000, "")), contains("declared in"));
  std::string jpeg = made::jpeg(made::smooth(16, 16));
  const std::size_t frame = jpeg.find("\xff\xc0");
  REQUIRE(frame != jpeg.npos);
  jpeg.replace(frame + 5, 4, std::string("\xff\xdc\xff\xdc", 4));
  CHECK_THROWS_WITH(decoded(jpeg), contains("65500 x 65500"));
  jpeg.replace(frame + 5, 4, std::string("\x1f\x40\x1f\x40", 4));
  CHECK_THROWS_WITH(decoded(jpeg), contains("8000 x 8000") && contains("declared in"));
  CHECK_THROWS_WITH(decoded(made::png(made::noise(8, 8, 3)), {.max_pixels = 63}),
                    contains("at most 63 pixels"));
}

TEST_CASE("other formats are refused by name", "[data][decode]") {
  using namespace std::string_literals;
  CHECK_THROWS_WITH(decoded("GIF89a..."), contains("GIF"));
  CHECK_THROWS_WITH(decoded("RIFF\x10\0\0\0WEBPVP8 "s), contains("WebP"));
  CHECK_THROWS_WITH(decoded("II*\0\x08\0\0\0"s), contains("TIFF"));
  CHECK_THROWS_WITH(decoded("P6\n1 1\n255\nabc"), contains("PNM"));
  CHECK_THROWS_WITH(decoded("<!DOCTYPE html>"), contains("a web page"));
  CHECK_THROWS_WITH(decoded("nothing known"), contains("unknown content"));
  CHECK_THROWS_WITH(decoded(""), contains("an empty file"));
}

TEST_CASE("the EXIF orientation is applied when asked for, and not otherwise", "[data][decode]") {
  const sp::image p = made::smooth(24, 16);
  const std::string exif = std::string("Exif\0\0", 6) + made::exif_block(6);
  const std::string jpeg = made::jpeg(p, {.exif = exif});
  const sp::image stored = decoded(jpeg), shown = decoded(jpeg, {.exif = true});
  CHECK(stored.width == 24);
  CHECK(shown.width == 16);
  CHECK(shown == sp::oriented(stored, 6));

  const sp::image q = made::noise(5, 3, 3);
  const std::string rows(reinterpret_cast<const char*>(q.pixels.data()), q.bytes());
  const std::string png =
      made::png(5, 3, rows, {.extra = made::png_chunk("eXIf", made::exif_block(3))});
  CHECK(decoded(png) == q);
  CHECK(decoded(png, {.exif = true}) == sp::oriented(q, 3));
}

TEST_CASE("every odd file is decoded or refused with one line", "[data][decode]") {
  const auto folder = shared_data("data/odd_images");
  if (!folder) return skip("odd_images is not beside the checkout");
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (entry.path().filename() == "expect.json") continue;
    const std::string bytes = file_bytes(entry.path());
    ++files;
    try {
      const sp::image p = decoded(bytes);
      CHECK(p.bytes() == std::size_t(p.width) * std::size_t(p.height) * 3);
    } catch (const sp::error& e) {
      INFO(entry.path());
      CHECK(std::string(e.what()).find('\n') == std::string::npos);
    }
  }
  CHECK(files > 100);
}
