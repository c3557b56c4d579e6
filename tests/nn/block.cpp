#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/block.hpp>
#include <selfpatch/nn/init.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

using plain = sp::nn::block<double, sp::cpu, 8, 2, 4, false>;
using scaled = sp::nn::block<double, sp::cpu, 8, 2, 4, true>;
using tokens = sp::shape<sp::dyn, sp::dyn, 8>;

template <class Block>
Block made() {
  Block b;
  sp::initialize<double, sp::cpu>(b, 1);
  return b;
}

sp::tensor<double, sp::shape<sp::dyn>> draws(std::initializer_list<double> values) {
  sp::tensor<double, sp::shape<sp::dyn>> x(sp::shape<sp::dyn>{values.size()});
  std::copy(values.begin(), values.end(), x.data());
  return x;
}

bool same_sample(const sp::tensor<double, tokens>& a, const sp::tensor<double, tokens>& b,
                 sp::index sample) {
  const sp::index n = a.size() / a.extent(0);
  return std::equal(a.data() + sample * n, a.data() + (sample + 1) * n, b.data() + sample * n);
}

}  // namespace

TEST_CASE("a block that drops both branches of a sample leaves it as it was", "[nn][block]") {
  const auto b = made<plain>();
  const auto x = random_tensor<double>(tokens(3, 5));
  const auto keep = draws({0, 1, 0});
  const auto y = b(x, &keep, &keep), all = b(x);
  CHECK(same_sample(y, x, 0));
  CHECK(same_sample(y, all, 1));
  CHECK(same_sample(y, x, 2));
}

TEST_CASE("a block's draws act on the attention first, on the MLP second", "[nn][block]") {
  const auto b = made<plain>();
  const auto x = random_tensor<double>(tokens(2, 5));
  const auto keep = draws({1, 1}), drop = draws({0, 0});
  const auto attended = sp::add(x, b.proj(sp::attention(b.qkv(b.norm1(x)), 2)));
  CHECK(largest_difference(b(x, &keep, &drop), attended) < 1e-15);
  CHECK(largest_difference(b(x, &drop, &keep), sp::add(x, b.mlp(b.norm2(x)))) < 1e-15);
}

TEST_CASE("a block with layer scale of 1 is one without, with 0 it does nothing", "[nn][block]") {
  auto with = made<scaled>();
  const auto without = made<plain>();
  const auto x = random_tensor<double>(tokens(2, 5));
  for (const double scale : {1.0, 0.0}) {
    for (auto* gamma : {&with.ls1, &with.ls2})
      for (double& g : gamma->value.values()) g = scale;
    CHECK(largest_difference(with(x), scale == 1 ? without(x) : x.clone()) == 0);
  }
}

TEST_CASE("a block without layer scale stores none", "[nn][block]") {
  int count = 0;
  const plain b;
  sp::for_each_parameter(b, [&](const std::string& name, const auto&) {
    ++count;
    CHECK(name.find("gamma") == std::string::npos);
  });
  CHECK(count == 12);
}
