#include <selfpatch/ops/l2_normalize.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x) { return sp::l2_normalize(x); };
using matrix = sp::shape<sp::dyn, sp::dyn>;

}  // namespace

TEST_CASE("l2_normalize makes a 3-4-5 row of length 1", "[ops][l2_normalize]") {
  sp::tensor<double, sp::shape<1, 2>> x;
  x.data()[0] = 3e100;  // squares to 9e200
  x.data()[1] = -4e100;
  const auto y = sp::l2_normalize(x);
  CHECK(y.data()[0] == Approx(0.6));
  CHECK(y.data()[1] == Approx(-0.8));
}

TEST_CASE("l2_normalize leaves a zero row zero and passes its gradient on divided by 1e-12",
          "[ops][l2_normalize]") {
  sp::tape on;
  const auto x = on.variable(sp::tensor<double, sp::shape<1, 3>>());
  const auto y = sp::l2_normalize(x);
  for (const double v : y.value().values()) CHECK(v == 0);
  on.backward(y);
  for (const double g : x.gradient().values()) CHECK(g == Approx(1e12));
}

TEMPLATE_TEST_CASE("l2_normalize's backward is the derivative of its forward",
                   "[ops][l2_normalize][grad]", sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(sp::shape<sp::dyn, 6>(4)))) <
        1e-7);
}

TEST_CASE("l2_normalize's gradient is at right angles to the row", "[ops][l2_normalize]") {
  sp::tape on;
  const auto x = on.variable(random_tensor<double>(matrix(5, 7), 1));
  const auto y = sp::l2_normalize(x);
  const auto g = random_tensor<double>(matrix(5, 7), 2);
  std::copy_n(g.data(), g.size(), y.gradient().data());
  on.backward(y);
  for (sp::index r = 0; r < 5; ++r) {
    double along = 0;
    for (int d = 0; d < 7; ++d) along += rows(x.value()).row(r)[d] * rows(x.gradient()).row(r)[d];
    CHECK(along == Approx(0).margin(1e-14));
  }
}

TEST_CASE(
    "l2_normalize is the same on the cpu, on rows that invite trouble and with any number of "
    "threads",
    "[ops][l2_normalize][parallel]") {
  const auto x = adversarial_tensor<float>(matrix(300, 33));
  CHECK(disagreement(op, x) < 1e-6);
  CHECK(same_bits(op, x));
}
