#include <selfpatch/data/format.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("eight orientations show the same picture eight ways", "[data][format]") {
  sp::image p(3, 2, 1);
  p.pixels = {1, 2, 3,  //
              4, 5, 6};
  using pixels = std::vector<std::uint8_t>;
  CHECK(sp::oriented(p, 1) == p);
  CHECK(sp::oriented(p, 2).pixels == pixels{3, 2, 1, 6, 5, 4});
  CHECK(sp::oriented(p, 3).pixels == pixels{6, 5, 4, 3, 2, 1});
  CHECK(sp::oriented(p, 4).pixels == pixels{4, 5, 6, 1, 2, 3});
  CHECK(sp::oriented(p, 5).pixels == pixels{1, 4, 2, 5, 3, 6});
  CHECK(sp::oriented(p, 6).pixels == pixels{4, 1, 5, 2, 6, 3});
  CHECK(sp::oriented(p, 7).pixels == pixels{6, 3, 5, 2, 4, 1});
  CHECK(sp::oriented(p, 8).pixels == pixels{3, 6, 2, 5, 1, 4});
  CHECK(sp::oriented(p, 6).width == 2);
}

TEST_CASE("an orientation is found in either byte order and never outside its block",
          "[data][format]") {
  using namespace std::string_literals;
  const std::string little = made::exif_block(8);
  const std::string big = "MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x05\0\0\0\0\0\0"s;
  CHECK(sp::detail::tiff_orientation(made::view(little)) == 8);
  CHECK(sp::detail::tiff_orientation(made::view(big)) == 5);
  for (std::size_t keep = 0; keep < 20; ++keep)
    CHECK(sp::detail::tiff_orientation(made::view(little).first(keep)) == 1);
  std::string far = little;
  far[4] = char(0xff), far[7] = char(0x7f);
  CHECK(sp::detail::tiff_orientation(made::view(far)) == 1);
  CHECK(sp::detail::tiff_orientation(made::view(made::exif_block(9))) == 1);
}

TEST_CASE("content tells the format, not the name", "[data][format]") {
  CHECK(sp::sniff(made::view(made::png(made::noise(2, 2, 3)))) == sp::format::png);
  CHECK(sp::sniff(made::view(made::jpeg(made::smooth(8, 8)))) == sp::format::jpeg);
  CHECK(sp::sniff(made::view("\x1f\x8b\x08")) == sp::format::gzip);
  CHECK(sp::sniff(made::view("")) == sp::format::unknown);
}
