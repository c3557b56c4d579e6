#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/linear.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("nn::linear is the op with its own weight [N, K] and bias [N]", "[nn][linear]") {
  sp::nn::linear<float, sp::cpu, 3, sp::dyn> layer(3, 5);
  layer.weight.value = random_tensor<float>(sp::shape<sp::dyn, 3>(5), 1);
  layer.bias.value = random_tensor<float>(sp::shape<sp::dyn>{5}, 2);
  const auto x = random_tensor<float>(sp::shape<sp::dyn, 7, 3>(2), 3);
  const auto y = layer(x);
  CHECK(largest_difference(y, sp::linear(x, layer.weight.value, layer.bias.value)) == 0);
  CHECK(y.extent(2) == 5);
}

TEST_CASE("nn::linear refuses sizes that contradict its type", "[nn][linear]") {
  CHECK_THROWS_AS((sp::nn::linear<float, sp::cpu, 3, 5>(4, 5)), sp::error);
}
