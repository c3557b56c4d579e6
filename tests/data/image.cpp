#include <selfpatch/data/image.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("luma weighs the channels to 1 and rounds", "[data][image]") {
  for (int v = 0; v < 256; ++v) {
    const auto u = std::uint8_t(v);
    CHECK(sp::luma(u, u, u) == v);
  }
  CHECK(sp::luma(255, 0, 0) == 76);   // 76.2
  CHECK(sp::luma(0, 255, 0) == 150);  // 149.7
  CHECK(sp::luma(0, 0, 255) == 29);   // 29.07
}

TEST_CASE("grey made color and back is the same picture", "[data][image]") {
  sp::image grey(5, 4, 1);
  for (std::size_t i = 0; i < grey.bytes(); ++i) grey.pixels[i] = std::uint8_t(i * 11);
  const sp::image color = sp::with_channels(grey, 3);
  CHECK(color.channels == 3);
  CHECK(color.row(3)[14] == grey.row(3)[4]);
  CHECK(sp::with_channels(color, 1) == grey);
  CHECK_THROWS_AS(sp::with_channels(grey, 2), sp::error);
  CHECK_THROWS_AS(sp::image(0, 4, 3), sp::error);
}
