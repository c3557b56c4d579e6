#include "../examples/png_write.hpp"

#include <selfpatch/data/decode.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("an encoded picture decodes to the same pixels", "[eval][png_write]") {
  for (const int channels : {1, 3})
    for (const auto& [width, height] : {std::pair(1, 1), std::pair(17, 5), std::pair(64, 96)}) {
      sp::image picture(width, height, channels);
      sp::random draws(std::uint64_t(width), sp::purpose::test);
      for (auto& v : picture.pixels) v = std::uint8_t(draws.below(256));
      const auto png = sp::encode_png(picture);
      CHECK(sp::with_channels(sp::decode(png), 3) == sp::with_channels(picture, 3));
    }
}

TEST_CASE("what is no grey or RGB picture is refused", "[eval][png_write]") {
  CHECK_THROWS_AS(sp::encode_png(sp::image()), sp::error);
  CHECK_THROWS_AS(sp::encode_png(sp::image(2, 2, 2)), sp::error);
  sp::image cut(4, 4, 3);
  cut.pixels.resize(40);
  CHECK_THROWS_AS(sp::encode_png(cut), sp::error);
}
