#include <selfpatch/ops/layer_scale.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x, const auto& gamma) { return sp::layer_scale(x, gamma); };
using matrix = sp::shape<sp::dyn, sp::dyn>;

}  // namespace

TEST_CASE("layer_scale multiplies each feature by its own factor", "[ops][layer_scale]") {
  const auto x = random_tensor<double>(matrix(3, 4), 1);
  const auto gamma = random_tensor<double>(sp::shape<4>(), 2);
  const auto y = sp::layer_scale(x, gamma);
  for (sp::index i = 0; i < 12; ++i) CHECK(y.data()[i] == x.data()[i] * gamma.data()[i % 4]);
}

TEMPLATE_TEST_CASE("layer_scale's backward is the derivative of its forward",
                   "[ops][layer_scale][grad]", sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(matrix(3, 4), 1)),
                      on_device<TestType>(random_tensor<double>(sp::shape<4>(), 2))) < 1e-7);
}

TEST_CASE("layer_scale is the same on the cpu, with any number of threads",
          "[ops][layer_scale][parallel]") {
  const auto x = random_tensor<float>(matrix(300, 24), 1);
  const auto gamma = random_tensor<float>(sp::shape<24>(), 2);
  CHECK(disagreement(op, x, gamma) < 1e-6);
  CHECK(same_bits(op, x, gamma));
}
