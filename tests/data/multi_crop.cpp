#include <selfpatch/data/multi_crop.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

#include <set>

namespace sp = selfpatch;
using made::noise;

TEST_CASE("the default is the published recipe", "[data][multi_crop]") {
  const sp::multi_crop m;
  CHECK(m.views() == 10);
  CHECK(m.recipe(0).size == 224);
  CHECK(m.recipe(9).size == 96);
  CHECK(m.recipe(0).blur == 1);
  CHECK(m.recipe(1).blur == 0.1);
  CHECK(m.recipe(1).solarize == 0.2);
  CHECK(m.recipe(0).solarize == 0);
  CHECK(m.recipe(2).blur == 0.5);
  CHECK(m.recipe(5).area_high == 0.25);
}

TEST_CASE("sizes and fallbacks of crops are the recorded ones", "[data][multi_crop]") {
  const auto same = [](const sp::crop_size& s, int w, int h, bool fits) {
    return s.width == w && s.height == h && s.fits == fits;
  };
  CHECK(same(sp::size_of_crop(614, 320, 0.9603855013847351, 0.18326613306999207), 476, 396, false));
  CHECK(same(sp::size_of_crop(449, 439, 0.8223403692245483, 0.08187232911586761), 419, 386, true));
  CHECK(same(sp::size_of_crop(398, 498, 0.18500685691833496, 0.05519907921552658), 197, 186, true));
  CHECK(sp::fallback_crop(100, 400, 0.75, 4.0 / 3) == sp::box{133, 0, 133, 100});
  CHECK(sp::fallback_crop(400, 100, 0.75, 4.0 / 3) == sp::box{0, 133, 100, 133});
  CHECK(sp::fallback_crop(120, 100, 0.75, 4.0 / 3) == sp::box{0, 0, 100, 120});
  CHECK(sp::fallback_crop(50, 1, 0.75, 4.0 / 3) == sp::box{0, 24, 1, 1});
}

TEST_CASE("a crop lies inside the picture and has the area and aspect asked for",
          "[data][multi_crop]") {
  const sp::view_recipe v{.area_low = 0.05, .area_high = 0.25};
  double areas = 0, mirrored = 0;
  constexpr int draws = 2000;
  for (int i = 0; i < draws; ++i) {
    const auto d = sp::draw_view(v, 400, 300, {1, 0, i, 2});
    REQUIRE_NOTHROW(sp::check_inside(noise(400, 300, 1), d.part));
    const double area = double(d.part.width) * d.part.height / (400 * 300);
    const double aspect = double(d.part.width) / d.part.height;
    REQUIRE((area > 0.049 && area < 0.252));
    REQUIRE((aspect > 0.73 && aspect < 1.37));
    areas += area;
    mirrored += d.flip;
  }
  CHECK(areas / draws == Approx(0.15).margin(0.005));
  CHECK(mirrored / draws == Approx(0.5).margin(0.05));
}

TEST_CASE("colors are drawn as often and as strongly as the recipe says", "[data][multi_crop]") {
  const sp::view_recipe v{.blur = 0.3, .solarize = 0.2};
  double jittered = 0, grey = 0, blurred = 0, solarized = 0;
  std::set<std::array<int, 4>> orders;
  constexpr int draws = 4000;
  for (int i = 0; i < draws; ++i) {
    const auto d = sp::draw_view(v, 64, 64, {0, 3, i, 0});
    jittered += d.jitter.has_value(), grey += d.grey, solarized += d.solarize;
    if (d.blur) {
      ++blurred;
      REQUIRE((*d.blur >= 0.1f && *d.blur <= 2.0f));
    }
    if (!d.jitter) continue;
    orders.insert(d.jitter->order);
    REQUIRE((d.jitter->brightness >= 0.6f && d.jitter->brightness <= 1.4f));
    REQUIRE((d.jitter->saturation >= 0.8f && d.jitter->saturation <= 1.2f));
    REQUIRE(std::abs(d.jitter->hue) <= 0.1);
  }
  CHECK(jittered / draws == Approx(0.8).margin(0.03));
  CHECK(grey / draws == Approx(0.2).margin(0.03));
  CHECK(blurred / draws == Approx(0.3).margin(0.03));
  CHECK(solarized / draws == Approx(0.2).margin(0.03));
  CHECK(orders.size() == 24);
}

TEST_CASE("a view depends on seed, epoch, sample and view, and on nothing else",
          "[data][multi_crop]") {
  const sp::image p = noise(80, 60, 3);
  const sp::view_recipe v{.size = 32};
  const auto view = [&](sp::view_key key) {
    std::vector<float> chw(3 * 32 * 32);
    sp::make_view(p, v, {}, key, chw.data());
    return chw;
  };
  const auto first = view({1, 2, 3, 4});
  CHECK(view({1, 2, 3, 4}) == first);
  for (const sp::view_key& other :
       {sp::view_key{0, 2, 3, 4}, {1, 0, 3, 4}, {1, 2, 0, 4}, {1, 2, 3, 0}})
    CHECK_FALSE(view(other) == first);
}

TEST_CASE("changing blur and colors leaves the crops where they are", "[data][multi_crop]") {
  const sp::view_recipe plain{.jitter = 0, .grey = 0, .blur = 0},
      rich{.jitter = 1, .grey = 1, .blur = 1};
  for (int i = 0; i < 20; ++i)
    CHECK(sp::draw_view(plain, 90, 70, {0, 0, i, 0}).part ==
          sp::draw_view(rich, 90, 70, {0, 0, i, 0}).part);
}

TEST_CASE("operations follow each other in the published order", "[data][multi_crop]") {
  const sp::image p = noise(50, 40, 3);
  sp::view_draw d;
  d.part = {3, 4, 30, 33};
  d.flip = d.grey = d.solarize = true;
  d.blur = 1.3f;
  d.jitter = sp::jitter_draw{{3, 1, 0, 2}, 1.2f, 0.7f, 1.1f, 0.05};
  sp::image expected = sp::resize(p, d.part, 24, 24);
  sp::flip(expected);
  sp::adjust_hue(expected, 0.05);
  sp::adjust_contrast(expected, 0.7f);
  sp::adjust_brightness(expected, 1.2f);
  sp::adjust_saturation(expected, 1.1f);
  sp::make_grey(expected);
  sp::blur(expected, 1.3f);
  sp::solarize(expected);
  CHECK(sp::apply_view(p, {.size = 24}, d) == expected);
}

TEST_CASE("pictures of one pixel or one channel have views too", "[data][multi_crop]") {
  const sp::multi_crop views = sp::small_crops();
  for (const sp::image& p : {noise(1, 1, 3), noise(1, 200, 3), noise(30, 30, 1)})
    for (int v = 0; v < views.views(); ++v) {
      const int side = views.recipe(v).size;
      std::vector<float> chw(std::size_t(p.channels * side * side), NAN);
      sp::make_view(p, views.recipe(v), views.normalization, {0, 0, 0, v}, chw.data());
      CHECK(std::none_of(chw.begin(), chw.end(), [](float x) { return std::isnan(x); }));
    }
}

TEST_CASE("recipes without sense are refused", "[data][multi_crop]") {
  CHECK_NOTHROW(sp::check(sp::view_recipe{}));
  for (const sp::view_recipe& v :
       {sp::view_recipe{.size = 0}, sp::view_recipe{.area_low = 0},
        sp::view_recipe{.area_low = 0.5, .area_high = 0.4}, sp::view_recipe{.area_high = 1.5},
        sp::view_recipe{.hue = 0.6}, sp::view_recipe{.blur_low = 0}})
    CHECK_THROWS_AS(sp::check(v), sp::error);
}
