#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/layer_norm.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("nn::layer_norm is the op with its own gain and bias and an eps of 1e-6",
          "[nn][layer_norm]") {
  sp::nn::layer_norm<double, sp::cpu, 6> norm;
  norm.weight.value = random_tensor<double>(sp::shape<6>(), 1);
  norm.bias.value = random_tensor<double>(sp::shape<6>(), 2);
  auto x = random_tensor<double>(sp::shape<sp::dyn, 6>(4), 3);
  for (double& v : x.values()) v *= 1e-3;  // so small that eps matters
  const auto y = norm(x);
  CHECK(largest_difference(y, sp::layer_norm(x, norm.weight.value, norm.bias.value, 1e-6)) == 0);
  CHECK(largest_difference(y, sp::layer_norm(x, norm.weight.value, norm.bias.value, 1e-5)) > 1e-3);
}
