#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/projection_head.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("projection_head names its parameters as published, in its order",
          "[nn][projection_head]") {
  const sp::nn::projection_head<float, sp::cpu, 6> h({.hidden = 8, .bottleneck = 4, .out = 10});
  std::vector<std::string> names;
  sp::for_each_parameter(h, [&](const std::string& name, const auto&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"mlp.0.weight", "mlp.0.bias", "mlp.2.weight",
                                          "mlp.2.bias", "mlp.4.weight", "mlp.4.bias",
                                          "last_layer.weight_g", "last_layer.weight_v"});
}

TEST_CASE("projection_head's bottleneck rows have length 1 and its logits are cosines",
          "[nn][projection_head]") {
  sp::nn::projection_head<double, sp::cpu, 6> h({.hidden = 8, .bottleneck = 4, .out = 10});
  sp::initialize<double, sp::cpu>(h, 1);
  const auto z = h.bottleneck(random_tensor<double>(sp::shape<sp::dyn, 6>(5)));
  for (sp::index r = 0; r < 5; ++r) {
    double squares = 0;
    for (int p = 0; p < 4; ++p) squares += rows(z).row(r)[p] * rows(z).row(r)[p];
    CHECK(squares == Approx(1));
  }
  const auto y = h.logits(z);
  CHECK(y.extent(1) == 10);
  for (const double v : y.values()) CHECK(std::abs(v) <= 1 + 1e-15);
}
