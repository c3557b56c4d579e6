#include <selfpatch/data/scenes.hpp>

#include "testing.hpp"

#include <set>

namespace sp = selfpatch;

TEST_CASE("a scene is the same whenever it is made, and another for another number or seed",
          "[data][scenes]") {
  CHECK(sp::make_scene(3, 5).picture == sp::make_scene(3, 5).picture);
  CHECK_FALSE(sp::make_scene(3, 5).picture == sp::make_scene(3, 6).picture);
  CHECK_FALSE(sp::make_scene(3, 5).picture == sp::make_scene(4, 5).picture);
}

TEST_CASE("every instance has one class of its own", "[data][scenes]") {
  std::set<int> seen;
  for (int i = 0; i < 40; ++i) {
    const sp::scene s = sp::make_scene(0, i, {.size = 48});
    CHECK((s.objects >= 2 && s.objects <= 4));
    std::vector<int> class_of(5, -1);
    for (std::size_t at = 0; at < s.instances.size(); ++at) {
      const std::size_t instance = s.instances[at];
      REQUIRE(instance <= std::size_t(s.objects));
      if (class_of[instance] < 0) class_of[instance] = s.classes[at];
      REQUIRE(class_of[instance] == s.classes[at]);
    }
    std::set<int> classes;
    for (const int c : class_of)
      if (c >= 0) CHECK(classes.insert(c).second);
    seen.insert(classes.begin(), classes.end());
  }
  CHECK(seen == std::set<int>{0, 1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("the masks are those of the outlines, the last painted on top", "[data][scenes]") {
  const sp::scene s = sp::make_scene(7, 2);
  const sp::detail::scene_plan plan(7, 2, 0);
  int covered = 0;
  for (int y = 0; y < 96; ++y)
    for (int x = 0; x < 96; ++x) {
      std::size_t expected = 0;
      for (std::size_t o = 0; o < plan.objects.size(); ++o)
        if (plan.objects[o].covers(x + 0.5, y + 0.5)) expected = o + 1;
      REQUIRE(s.instances[std::size_t(y * 96 + x)] == expected);
      covered += expected > 0;
    }
  CHECK(covered > 500);
}

TEST_CASE("outlines have the areas of their formulas", "[data][scenes]") {
  sp::random draw(1, sp::purpose::test);
  sp::detail::scene_object o(draw);
  o.x = o.y = 48, o.a = 20, o.b = 12, o.cosine = 0.8, o.sine = 0.6;
  const auto area = [&](auto kind) {
    o.kind = kind;
    double cells = 0;
    for (double y = 0.125; y < 96; y += 0.25)
      for (double x = 0.125; x < 96; x += 0.25) cells += o.covers(x, y);
    return cells / 16;
  };
  CHECK(area(o.ellipse) == Approx(3.14159265 * 20 * 12).epsilon(0.005));
  CHECK(area(o.rectangle) == Approx(4 * 0.85 * 0.85 * 20 * 12).epsilon(0.005));
  CHECK(area(o.triangle) == Approx(1.8 * 20 * 12).epsilon(0.005));
}

TEST_CASE("frame 0 of a sequence is the still scene, and objects keep their size",
          "[data][scenes]") {
  const sp::scene still = sp::make_scene(5, 1);
  CHECK(sp::make_scene(5, 1, {.frame = 0, .speed = 2}).picture == still.picture);
  const sp::scene later = sp::make_scene(5, 1, {.frame = 4, .speed = 2});
  CHECK_FALSE(later.instances == still.instances);

  const sp::detail::scene_plan before(5, 1, 0), after(5, 1, 8);
  for (std::size_t o = 0; o < before.objects.size(); ++o) {
    const double dx = after.objects[o].x - before.objects[o].x;
    const double dy = after.objects[o].y - before.objects[o].y;
    CHECK(std::hypot(dx, dy) <= 8 + 1e-9);
    CHECK(std::hypot(dx, dy) > 0);
    CHECK(after.objects[o].a == before.objects[o].a);
    for (double t : {0.0, 3.0})  // the texture moved along
      CHECK(after.objects[o].covers(after.objects[o].x + t, after.objects[o].y) ==
            before.objects[o].covers(before.objects[o].x + t, before.objects[o].y));
  }
}

TEST_CASE("objects of long sequences stay near the picture", "[data][scenes]") {
  for (int frame : {0, 10, 100, 12345})
    for (const auto& o : sp::detail::scene_plan(1, 3, frame * 3.0).objects) {
      CHECK((o.x >= 14 && o.x <= 82));
      CHECK((o.y >= 14 && o.y <= 82));
    }
}

TEST_CASE("a scene of another size shows the same", "[data][scenes]") {
  const sp::scene small = sp::make_scene(2, 8, {.size = 48}),
                  large = sp::make_scene(2, 8, {.size = 144});
  int differing = 0;
  for (int y = 0; y < 48; ++y)
    for (int x = 0; x < 48; ++x)
      differing += small.instances[std::size_t(y * 48 + x)] !=
                   large.instances[std::size_t((3 * y + 1) * 144 + 3 * x + 1)];
  CHECK(differing == 0);  // the middle of three by three pixels is the same point
  CHECK_THROWS_AS(sp::make_scene(0, 0, {.size = 4}), sp::error);
}

TEST_CASE("grain is small and the light fills the range", "[data][scenes]") {
  double sum = 0;
  for (int i = 0; i < 20; ++i) {
    const sp::scene s = sp::make_scene(0, i, {.size = 32});
    for (auto v : s.picture.pixels) sum += v;
  }
  const double mean = sum / (20 * 32 * 32 * 3) / 255;
  CHECK((mean > 0.3 && mean < 0.6));
}
