#include <selfpatch/data/hue.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("hue, saturation and value of plain colors", "[data][hue]") {
  CHECK(sp::to_hsv(255, 0, 0) == sp::hsv8{0, 255, 255});
  CHECK(sp::to_hsv(0, 255, 0) == sp::hsv8{85, 255, 255});  // a third of 255
  CHECK(sp::to_hsv(0, 0, 255) == sp::hsv8{170, 255, 255});
  CHECK(sp::to_hsv(255, 255, 0) == sp::hsv8{42, 255, 255});  // 42.5, cut
  CHECK(sp::to_hsv(128, 64, 64) == sp::hsv8{0, 127, 128});
  CHECK(sp::to_hsv(77, 77, 77) == sp::hsv8{0, 0, 77});
  CHECK(sp::to_rgb({0, 0, 9}) == std::array<std::uint8_t, 3>{9, 9, 9});
  CHECK(sp::to_rgb({85, 255, 200}) == std::array<std::uint8_t, 3>{0, 200, 0});
  CHECK(sp::to_rgb({255, 255, 200}) == sp::to_rgb({0, 255, 200}));
}

TEST_CASE("the tables equal their definition for every color", "[data][hue]") {
  const auto& tables = sp::detail::hue_tables::shared();
  std::size_t wrong_hsv = 0, wrong_rgb = 0;
  for (unsigned c = 0; c < 1u << 24; ++c) {
    const std::array<std::uint8_t, 3> v{std::uint8_t(c >> 16), std::uint8_t(c >> 8),
                                        std::uint8_t(c)};
    wrong_hsv += !(tables.hsv(v.data()) == sp::to_hsv(v[0], v[1], v[2]));
    std::array<std::uint8_t, 3> rgb;
    tables.rgb({v[0], v[1], v[2]}, rgb.data());
    wrong_rgb += rgb != sp::to_rgb({v[0], v[1], v[2]});
  }
  CHECK(wrong_hsv == 0);
  CHECK(wrong_rgb == 0);
}

TEST_CASE("rounding half away from zero is rounding half up here", "[data][hue]") {
  std::size_t wrong = 0;
  for (int h = 0; h < 256; ++h)
    for (int s = 1; s < 256; ++s)
      for (int v = 0; v < 256; ++v) {
        const double x = h * 6.0 / 255.0, f = float(x - std::floor(x)), fs = float(s / 255.0);
        for (const double value : {v * (1 - fs), v * (1 - fs * f), v * (1 - fs * (1 - f))})
          wrong += std::round(value) != double(int(value + 0.5));
      }
  CHECK(wrong == 0);
}

TEST_CASE("a hue shift is cut to whole steps and wraps around", "[data][hue]") {
  const auto shifted = [](double factor) {
    sp::image p(1, 1, 3);
    p.pixels = {200, 0, 0};
    sp::adjust_hue(p, factor);
    return sp::to_hsv(p.pixels[0], p.pixels[1], p.pixels[2]).hue;
  };
  CHECK(shifted(85 / 255.0 + 1e-9) == 85);
  CHECK(shifted(-86 / 255.0 - 1e-9) == 170);
  sp::image a(1, 1, 3), b(1, 1, 3);
  a.pixels = b.pixels = {10, 200, 30};
  sp::adjust_hue(a, -0.1);  // -25.5, cut to -25
  sp::adjust_hue(b, -25 / 255.0);
  CHECK(a == b);
}

TEST_CASE("a shift by nothing still quantizes; grey stays grey", "[data][hue]") {
  sp::image p = made::noise(32, 32, 3);
  const sp::image before = p;
  sp::adjust_hue(p, 0);
  CHECK_FALSE(p == before);
  sp::image grey = sp::with_channels(made::noise(32, 32, 1), 3), one = made::noise(8, 8, 1);
  const sp::image grey_before = grey, one_before = one;
  sp::adjust_hue(grey, 0.3);
  sp::adjust_hue(one, 0.3);
  CHECK(grey == grey_before);
  CHECK(one == one_before);
}
