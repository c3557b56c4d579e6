#include "run.hpp"

#include <limits>

namespace {

template <class Network>
sp::trainer<Network> new_trainer(double center_momentum = 0.9) {
  return sp::trainer<Network>(mini_config(), {.center_momentum = center_momentum}, 1);
}

const sp::step_values values{.lr = 1e-3,
                             .weight_decay = 0.1,
                             .momentum = 0.9,
                             .temperature = 0.04,
                             .patch_temperature = 0.05};

}  // namespace

TEST_CASE("a step lowers the loss on the batch it learned from", "[train][trainer]") {
  auto t = new_trainer<mini_network<>>(1);
  const auto crops = random_crops<mini_network<>>(4, 1);
  sp::step_values still = values;
  still.momentum = 1;  // teacher and centers that stand still are a fixed target
  const auto first = t.step(crops, no_drop<mini_network<>>(), still);
  for (int i = 0; i < 20; ++i) t.step(crops, no_drop<mini_network<>>(), still);
  const auto last = t.step(crops, no_drop<mini_network<>>(), still);
  CHECK(last.loss_image < first.loss_image);
  CHECK(last.loss_patch < first.loss_patch);
  CHECK(first.loss == Approx(first.loss_image + 0.1 * first.loss_patch));
}

TEST_CASE("micro-batches add up to the whole batch", "[train][trainer]") {
  using network = mini_network<double>;
  auto whole = new_trainer<network>(), parts = new_trainer<network>();
  const auto crops = random_crops<network>(4, 2);
  whole.step(crops, no_drop<network>(), values);

  for (sp::index half = 0; half < 2; ++half) {  // images 2 half, 2 half + 1 of every view
    std::vector<network::crops_type> piece;
    for (const auto& c : crops) {
      const sp::index n = c.size() / c.extent(0);
      piece.emplace_back(sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>(4, c.extent(2), c.extent(3)));
      for (sp::index v = 0; v < 2; ++v)
        std::copy_n(c.data() + (v * 4 + 2 * half) * n, 2 * n, piece.back().data() + v * 2 * n);
    }
    parts.accumulate(piece, no_drop<network>(), values, 0.5);
  }
  parts.update(values);

  double worst = 0;
  std::vector<double> of_whole;
  sp::for_each_parameter(whole.student, [&](const std::string&, const auto& p) {
    of_whole.insert(of_whole.end(), p.value.values().begin(), p.value.values().end());
  });
  std::size_t i = 0;
  sp::for_each_parameter(parts.student, [&](const std::string& name, const auto& p) {
    // key biases have no gradient in theory; what Adam makes of the rounding noise there is no
    // matter of micro-batches
    const bool noise =
        name.find("attn.k.bias") != std::string::npos || name.find("qkv.bias") != std::string::npos;
    for (const double x : p.value.values()) {
      const double difference = std::abs(x - of_whole[i++]);
      if (!noise) worst = std::max(worst, difference);
    }
  });
  CHECK(worst < 1e-9);
  CHECK(largest_difference(parts.center, whole.center) < 1e-13);
  CHECK(largest_difference(parts.patch_center, whole.patch_center) < 1e-13);
}

TEST_CASE("a step that is not finite changes nothing and says what was bad first",
          "[train][trainer]") {
  auto t = new_trainer<mini_network<>>();
  const auto good = random_crops<mini_network<>>(4, 1);
  t.step(good, no_drop<mini_network<>>(), values);
  const auto before = weights_of(t);
  const auto moments = t.adam_m[3].clone();
  const auto counts = t.adam_steps;

  SECTION("a pixel") {
    auto bad = random_crops<mini_network<>>(4, 1);
    bad[0].data()[5] = std::numeric_limits<float>::quiet_NaN();
    CHECK(t.step(bad, no_drop<mini_network<>>(), values).refused == "input pixels");
  }
  SECTION("a weight") {
    float& w = t.student.backbone.blocks[1].proj.weight.value.data()[0];
    const float was = std::exchange(w, std::numeric_limits<float>::infinity());
    CHECK(t.step(good, no_drop<mini_network<>>(), values).refused ==
          "student.backbone.blocks.1.attn.proj.weight");
    w = was;
  }
  SECTION("a center") {
    const float was = std::exchange(t.center.data()[0], std::numeric_limits<float>::quiet_NaN());
    CHECK(t.step(good, no_drop<mini_network<>>(), values).refused == "center");
    t.center.data()[0] = was;
  }
  CHECK(weights_of(t) == before);
  CHECK(largest_difference(t.adam_m[3], moments) == 0);
  CHECK(t.adam_steps == counts);
  CHECK(t.step(good, no_drop<mini_network<>>(), values).refused.empty());
}

TEST_CASE("frozen last layers keep weights, moments and step counts", "[train][trainer]") {
  auto t = new_trainer<mini_network<>>();
  const auto before = t.student.p_head.weight_v.value.clone();
  sp::step_values frozen = values;
  frozen.frozen = true;
  t.step(random_crops<mini_network<>>(2, 1), no_drop<mini_network<>>(), frozen);
  CHECK(largest_difference(t.student.p_head.weight_v.value, before) == 0);
  std::size_t i = 0;
  sp::for_each_parameter(t.student, [&](const std::string& name, const auto& p) {
    CHECK(t.adam_steps[i++] == (p.learns && name.find("last_layer") == std::string::npos ? 1 : 0));
  });
  t.step(random_crops<mini_network<>>(2, 2), no_drop<mini_network<>>(), values);
  CHECK(largest_difference(t.student.p_head.weight_v.value, before) > 0);
}

TEST_CASE("DINO learns with the same trainer and has no patch term", "[train][trainer]") {
  auto t = new_trainer<mini_dino<>>(1);
  const auto crops = random_crops<mini_dino<>>(4, 1);
  const auto first = t.step(crops, no_drop<mini_dino<>>(), values);
  CHECK(first.loss_patch == 0);
  CHECK(first.loss == first.loss_image);
  for (int i = 0; i < 10; ++i) t.step(crops, no_drop<mini_dino<>>(), values);
  CHECK(t.step(crops, no_drop<mini_dino<>>(), values).loss < first.loss);
}

TEST_CASE("after the first step a step takes no memory from the system", "[train][trainer]") {
  sp::context<sp::cpu> on(2);
  sp::trainer<mini_network<>> t(mini_config(), {}, 1, &on);
  std::vector<mini_network<>::crops_type> crops;
  for (const auto& c : random_crops<mini_network<>>(4, 1)) {
    crops.emplace_back(c.shape(), &on);
    std::copy(c.values().begin(), c.values().end(), crops.back().values().begin());
  }
  t.step(crops, no_drop<mini_network<>>(), values, true);
  const auto calls = on.arena().system_calls();
  const auto live = on.arena().live_bytes();
  for (int i = 0; i < 3; ++i) t.step(crops, no_drop<mini_network<>>(), values, true);
  CHECK(on.arena().system_calls() == calls);
  CHECK(on.arena().live_bytes() == live);
}
