#include <selfpatch/train/recipe.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("the learning rate rises to its peak twice and falls towards its end",
          "[train][schedule]") {
  const sp::schedule s{
      .steps = 8, .steps_per_epoch = 2, .warmup_steps = 3, .peak_lr = 1, .min_lr = 0};
  CHECK(s.at(0).lr == 0);
  CHECK(s.at(1).lr == Approx(0.5));
  CHECK(s.at(2).lr == 1);
  CHECK(s.at(3).lr == 1);
  CHECK(s.at(7).lr == Approx(0.5 * (1 + std::cos(0.8 * std::numbers::pi))));
}

TEST_CASE("weight decay and momentum approach their ends by half a cosine", "[train][schedule]") {
  const sp::schedule s{.steps = 100};
  CHECK(s.at(0).weight_decay == Approx(0.04));
  CHECK(s.at(50).weight_decay == Approx(0.22));
  CHECK(s.at(0).momentum == Approx(0.996));
  CHECK(s.at(99).momentum < 1);
}

TEST_CASE("the teacher's temperature rises by epochs, ends included", "[train][schedule]") {
  const sp::schedule s{.steps = 10,
                       .steps_per_epoch = 2,
                       .temperature = 0.07,
                       .warmup_temperature = 0.04,
                       .temperature_epochs = 3};
  CHECK(s.at(0).temperature == Approx(0.04));
  CHECK(s.at(1).temperature == Approx(0.04));
  CHECK(s.at(2).temperature == Approx(0.055));
  CHECK(s.at(4).temperature == Approx(0.07));
  CHECK(s.at(9).temperature == Approx(0.07));
  CHECK(s.at(9).patch_temperature == Approx(0.07));
}

TEST_CASE("the defaults are the published ones", "[train][recipe]") {
  const sp::recipe r;
  const auto s = r.schedule_for(100);
  CHECK(s.steps == 30000);
  CHECK(s.warmup_steps == 1000);
  CHECK(s.frozen_steps == 100);
  CHECK(s.peak_lr == Approx(5e-4 * 64 / 256));
  CHECK(r.views() == sp::multi_crop{});
  CHECK(r.network(sp::vit_small16).table == 14);
}

TEST_CASE("a run given in steps keeps the shares of its phases", "[train][recipe]") {
  sp::recipe r;
  r.steps = 600;
  const auto s = r.schedule_for(100);
  CHECK(s.steps == 600);
  CHECK(s.warmup_steps == 20);  // 10 of 300 epochs
  CHECK(s.frozen_steps == 2);
}

TEST_CASE("a recipe that makes no sense is refused by its option", "[train][recipe]") {
  const auto refused = [](auto change, const char* words) {
    sp::recipe r;
    change(r);
    CHECK_THROWS_WITH(r.check(sp::vit_small16), contains(words));
  };
  refused([](auto& r) { r.batch = 0; }, "--batch");
  refused([](auto& r) { r.k = 9; }, "--k; expected 1..8 for --radius 1, found 9");
  refused([](auto& r) { r.radius = 3; }, "--radius");
  refused([](auto& r) { r.global_size = 230; },
          "--global-size; expected a multiple of the patch, 16, found 230");
  refused([](auto& r) { r.accumulate = 3; }, "--accumulate");
  refused([](auto& r) { r.local_scale = {0.3, 0.2}; }, "--local-scale");
  refused([](auto& r) { r.drop_path = 1; }, "--drop-path");
  CHECK_THROWS_WITH(sp::find_preset("huge"), contains("published, demo"));
}
