#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/projection_head.hpp>
#include <selfpatch/nn/vit.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

constexpr sp::vit_config config{
    .width = 64, .heads = 2, .patch = 8, .layer_scale = true, .depth = 2, .table = 6};

struct moments {
  double mean = 0, deviation = 0, most = 0;
};
template <class X>
moments moments_of(const X& x) {
  moments m;
  for (const float v : x.values()) {
    m.mean += v / double(x.size());
    m.most = std::max(m.most, std::abs(double(v)));
  }
  for (const float v : x.values()) m.deviation += (v - m.mean) * (v - m.mean) / double(x.size());
  m.deviation = std::sqrt(m.deviation);
  return m;
}

auto initialized(std::uint64_t seed) {
  sp::vit<config> net;
  sp::initialize<float, sp::cpu>(net, seed);
  return net;
}

}  // namespace

TEST_CASE("initialize draws linear weights and the position table with deviation 0.02",
          "[nn][init]") {
  const auto net = initialized(1);
  for (const auto m : {moments_of(net.blocks[1].qkv.weight.value), moments_of(net.pos_embed.value),
                       moments_of(net.blocks[0].mlp.fc2.weight.value)}) {
    CHECK(std::abs(m.mean) < 0.002);
    CHECK(m.deviation == Approx(0.02).epsilon(0.05));
    CHECK(m.most <= 0.12);
  }
}

TEST_CASE("initialize keeps the patch embedding's weight and bias within 1 / sqrt(fan in)",
          "[nn][init]") {
  const auto net = initialized(1);
  const double bound = 1 / std::sqrt(3 * 8 * 8);
  for (const auto m : {moments_of(net.patch_weight.value), moments_of(net.patch_bias.value)}) {
    CHECK(m.most <= bound);
    CHECK(m.most > 0.9 * bound);
  }
  CHECK(moments_of(net.patch_weight.value).deviation == Approx(bound / std::sqrt(3)).epsilon(0.05));
}

TEST_CASE("initialize sets biases 0, norms 1 and 0, layer scales 1e-5, lengths of last layers 1",
          "[nn][init]") {
  const auto net = initialized(1);
  const auto& block = net.blocks[0];
  for (const float v : block.qkv.bias.value.values()) CHECK(v == 0);
  for (const float v : block.norm1.weight.value.values()) CHECK(v == 1);
  for (const float v : block.norm1.bias.value.values()) CHECK(v == 0);
  for (const float v : block.ls1.value.values()) CHECK(v == 1e-5f);

  sp::nn::projection_head<float, sp::cpu, 6> head({.hidden = 8, .bottleneck = 4, .out = 10});
  sp::initialize<float, sp::cpu>(head, 1);
  for (const float v : head.weight_g.value.values()) CHECK(v == 1);
  CHECK(moments_of(head.weight_v.value).most <= 0.5);
  CHECK(moments_of(head.fc0.bias.value).most == 0);
}

TEST_CASE("initialize gives equal weights for equal seeds, and each tensor draws for itself",
          "[nn][init]") {
  const auto a = initialized(1), b = initialized(1), c = initialized(2);
  CHECK(largest_difference(a.blocks[1].proj.weight.value, b.blocks[1].proj.weight.value) == 0);
  CHECK(largest_difference(a.blocks[1].proj.weight.value, c.blocks[1].proj.weight.value) > 0.01);
  CHECK(largest_difference(a.blocks[0].proj.weight.value, a.blocks[1].proj.weight.value) > 0.01);

  sp::vit<config> deeper(3);  // the first blocks begin as in a net of two
  sp::initialize<float, sp::cpu>(deeper, 1);
  CHECK(largest_difference(deeper.blocks[1].proj.weight.value, a.blocks[1].proj.weight.value) == 0);
}
