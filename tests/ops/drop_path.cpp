#include <selfpatch/ops/drop_path.hpp>

#include "ops_testing.hpp"

namespace {

using tokens = sp::shape<sp::dyn, sp::dyn, sp::dyn>;
const auto op = [](const auto& x, const auto& branch, const auto& scale) {
  return sp::drop_path(x, branch, scale);
};

auto draws(sp::index B) {
  sp::tensor<double, sp::shape<sp::dyn>> scale(sp::shape<sp::dyn>{B});
  for (sp::index b = 0; b < B; ++b) scale.data()[b] = b % 3 == 1 ? 0 : 1 / 0.75;
  return scale;
}

}  // namespace

TEST_CASE("drop_path leaves a sample whose branch is dropped as it was, and scales the others up",
          "[ops][drop_path]") {
  const auto x = random_tensor<double>(tokens(3, 2, 4), 1),
             branch = random_tensor<double>(tokens(3, 2, 4), 2);
  const auto y = sp::drop_path(x, branch, draws(3));
  for (sp::index i = 0; i < 24; ++i)
    CHECK(y.data()[i] ==
          Approx(x.data()[i] + (i / 8 == 1 ? 0 : branch.data()[i] / 0.75)).epsilon(1e-15));
}

TEMPLATE_TEST_CASE("drop_path's backward is the derivative of its forward",
                   "[ops][drop_path][grad]", sp::reference, sp::cpu) {
  const auto scale = on_device<TestType>(draws(3));
  CHECK(sp::gradcheck(
            [&](const auto& x, const auto& branch) { return sp::drop_path(x, branch, scale); },
            on_device<TestType>(random_tensor<double>(tokens(3, 2, 4), 1)),
            on_device<TestType>(random_tensor<double>(tokens(3, 2, 4), 2))) < 1e-7);
}

TEST_CASE("drop_path gives no gradient to its draws", "[ops][drop_path]") {
  sp::tape on;
  const auto scale = on.variable(draws(3));
  const auto x = on.variable(random_tensor<double>(tokens(3, 2, 4), 1));
  on.backward(op(x, x, scale));
  for (const double g : scale.gradient().values()) CHECK(g == 0);
}

TEST_CASE("drop_path is the same on the cpu, with any number of threads",
          "[ops][drop_path][parallel]") {
  const auto x = random_tensor<double>(tokens(9, 5, 16), 1),
             branch = random_tensor<double>(tokens(9, 5, 16), 2);
  CHECK(disagreement(op, x, branch, draws(9)) == 0);
  CHECK(same_bits(op, x, branch, draws(9)));
}

TEST_CASE("drop_path refuses draws of another batch", "[ops][drop_path]") {
  const auto x = random_tensor<double>(tokens(3, 2, 4));
  CHECK_THROWS_WITH(sp::drop_path(x, x, draws(2)),
                    contains("one scale per sample; expected 3, found 2"));
}

TEMPLATE_TEST_CASE("drop_path adds to gradients that another op has reached",
                   "[ops][drop_path][grad]", sp::reference, sp::cpu) {
  const auto scale = on_device<TestType>(draws(3));
  const auto other = on_device<TestType>(random_tensor<double>(tokens(3, 2, 4), 2));
  const auto x = random_tensor<double>(tokens(3, 2, 4), 1);
  const auto constant = [&](const auto& in) { return in.recorded_on()->constant(other.clone()); };
  CHECK(adds_to_gradients<TestType>(
      [&](const auto& in) { return sp::drop_path(in, constant(in), scale); }, x));
  CHECK(adds_to_gradients<TestType>(
      [&](const auto& in) { return sp::drop_path(constant(in), in, scale); }, x));
}
