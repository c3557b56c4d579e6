#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/module.hpp>
#include <selfpatch/nn/projection_head.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

using head = sp::nn::projection_head<float, sp::cpu, 6>;
const sp::head_config config{.hidden = 8, .bottleneck = 4, .out = 10};

}  // namespace

TEST_CASE("parameters lists a module's tensors with name, shape and gradient", "[nn][module]") {
  head h(config);
  h.fc0.weight.learn();
  const auto all = sp::parameters<float, sp::cpu>(h);
  REQUIRE(all.size() == 8);
  CHECK(all[0].name == "mlp.0.weight");
  CHECK(all[0].shape == std::vector<sp::index>{8, 6});
  CHECK(all[0].value == h.fc0.weight.value.data());
  CHECK(all[0].gradient == h.fc0.weight.gradient.data());
  CHECK(all[1].gradient == nullptr);
}

TEST_CASE("weight decay is for two dimensions and more, freezing for last layers", "[nn][module]") {
  head h(config);
  for (const auto& p : sp::parameters<float, sp::cpu>(h)) {
    INFO(p.name);
    CHECK(p.decays() == !p.name.ends_with("bias"));
    CHECK(p.is_last_layer() == p.name.starts_with("last_layer"));
  }
  sp::named_parameter<float, sp::cpu> token{
      "backbone.cls_token", {1, 1, 6}, nullptr, nullptr, 6, nullptr};
  CHECK(token.decays());
  sp::named_parameter<float, sp::cpu> gain{"norm.weight", {6}, nullptr, nullptr, 6, nullptr};
  CHECK_FALSE(gain.decays());
}

TEST_CASE("copy_parameters makes one module equal another, and leaves its gradients alone",
          "[nn][module]") {
  head from(config), to(config);
  sp::initialize<float, sp::cpu>(from, 1);
  sp::learn(to);
  sp::copy_parameters(from, to);
  const auto a = sp::parameters<float, sp::cpu>(from), b = sp::parameters<float, sp::cpu>(to);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(std::equal(a[i].value, a[i].value + a[i].size, b[i].value));
    CHECK(b[i].gradient != nullptr);
  }
}

TEST_CASE("zero_gradients zeroes what learns", "[nn][module]") {
  head h(config);
  sp::learn(h);
  h.fc0.bias.gradient.data()[3] = 7;
  sp::zero_gradients(h);
  CHECK(h.fc0.bias.gradient.data()[3] == 0);
}
