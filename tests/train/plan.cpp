#include <selfpatch/train/plan.hpp>

#include "run.hpp"

TEST_CASE("the plan counts the parameters a network has", "[train][plan]") {
  for (const auto learn : {sp::method::selfpatch, sp::method::dino}) {
    sp::recipe r = mini_recipe(2);
    r.learn = learn;
    const auto count = [](const auto& net) {
      sp::index n = 0;
      sp::for_each_parameter(net, [&](const std::string&, const auto& p) { n += p.value.size(); });
      return n;
    };
    const auto n = r.network(mini);
    const sp::index found =
        learn == sp::method::selfpatch ? count(mini_network<>(n)) : count(mini_dino<>(n));
    CHECK(sp::make_plan(r, mini).parameters == found);
  }
}

TEST_CASE("the plan of the published ViT-S has the published counts", "[train][plan]") {
  const auto p = sp::make_plan({}, sp::vit_small16);
  CHECK(p.backbone_parameters == 21664128);
  CHECK(p.parameters == 54128384);
  CHECK(p.flops_per_image * 1e-9 ==
        Approx(167.8).epsilon(0.01));  // 83.9 GMAC with keys and values shared
}

TEST_CASE("the plan's memory is within a third of what a run takes", "[train][plan]") {
  sp::recipe r = mini_recipe(2);
  r.batch = 8;
  r.head_hidden = 64;
  sp::pretraining<mini_network<>> run(mini_pictures(), r, {.threads = 1});
  run.train([](const auto&) {});
  const double taken = double(run.on()->arena().peak_bytes());
  const double planned = sp::make_plan(r, mini).bytes();
  CHECK(planned > taken / 1.33);
  CHECK(planned < taken * 1.33);
}
