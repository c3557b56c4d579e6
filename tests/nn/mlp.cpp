#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/mlp.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("nn::mlp is fc2 of gelu of fc1, under these names", "[nn][mlp]") {
  sp::nn::mlp<double, sp::cpu, 4, 10> m;
  sp::initialize<double, sp::cpu>(m, 1);
  const auto x = random_tensor<double>(sp::shape<sp::dyn, 4>(3));
  CHECK(largest_difference(m(x), m.fc2(sp::gelu(m.fc1(x)))) == 0);
  std::vector<std::string> names;
  sp::for_each_parameter(m, [&](const std::string& name, const auto&) { names.push_back(name); });
  CHECK(names == std::vector<std::string>{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"});
}
