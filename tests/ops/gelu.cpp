#include <selfpatch/ops/gelu.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x) { return sp::gelu(x); };
using vector = sp::shape<sp::dyn>;

}  // namespace

TEST_CASE("gelu is x times the share of a normal below x", "[ops][gelu]") {
  sp::tensor<double, sp::shape<5>> x;
  const double at[] = {-40, -1, 0, 1, 40};
  std::copy(at, at + 5, x.data());
  const auto y = sp::gelu(x);
  CHECK(y.data()[0] == Approx(0).margin(1e-300));
  CHECK(y.data()[1] == Approx(-0.15865525393145707));  // Phi(-1)
  CHECK(y.data()[2] == 0);
  CHECK(y.data()[3] == Approx(0.84134474606854293));
  CHECK(y.data()[4] == 40);
}

TEMPLATE_TEST_CASE("gelu's backward is the derivative of its forward", "[ops][gelu][grad]",
                   sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(vector(33)))) < 1e-7);
}

TEST_CASE("gelu's cpu kernel agrees with the reference at all small sizes", "[ops][gelu]") {
  double worst = 0;
  for (int n = 0; n < 70; ++n)
    worst = std::max(worst, disagreement(op, random_tensor<float>(vector(n), 1)));
  CHECK(worst < 2e-6);
}

TEST_CASE("gelu's cpu kernel keeps its relative precision in the lower tail", "[ops][gelu]") {
  sp::tensor<float, vector> x(vector(1300));
  sp::tensor<double, vector, sp::reference> exact(vector(1300));
  for (int i = 0; i < 1300; ++i) exact.data()[i] = x.data()[i] = -0.01f * float(i);
  const auto fast = sp::gelu(x);
  const auto plain = sp::gelu(exact);
  double worst = 0;
  for (int i = 1; i < 1300; ++i) {
    const double p = plain.data()[i], f = fast.data()[i];
    if (std::abs(p) > 1e-37) worst = std::max(worst, std::abs(f - p) / std::abs(p));
  }
  CHECK(worst < 1e-6);
}

TEST_CASE("gelu's cpu kernel agrees with the reference on huge, tiny and undefined numbers",
          "[ops][gelu]") {
  sp::tensor<float, vector> x(vector(9));
  const float inf = std::numeric_limits<float>::infinity();
  const float at[] = {inf, 1e30f, 1e-30f, 0, -0.0f, -1e-30f, -1e30f, 3e-45f, std::nanf("")};
  std::copy(at, at + 9, x.data());
  const auto fast = sp::gelu(x);
  CHECK(fast.data()[0] == inf);
  CHECK(fast.data()[1] == 1e30f);
  CHECK(fast.data()[2] == Approx(5e-31f));
  CHECK(fast.data()[6] == 0);
  CHECK(std::isnan(fast.data()[8]));
}

TEST_CASE("gelu has the same bits for any number of threads and any place in the array",
          "[ops][gelu][parallel]") {
  const auto x = random_tensor<float>(vector(100000), 1);
  CHECK(same_bits(op, x));
  const auto y = sp::gelu(x);
  sp::tensor<float, sp::shape<1>> one;
  for (const int i : {0, 1, 17, 16383, 16384, 99999}) {
    one.data()[0] = x.data()[i];
    CHECK(sp::gelu(one).data()[0] == y.data()[i]);
  }
}

TEMPLATE_TEST_CASE("gelu adds to a gradient that another op has reached", "[ops][gelu][grad]",
                   sp::reference, sp::cpu) {
  CHECK(adds_to_gradients<TestType>(op, random_tensor<double>(vector(50), 1)));
}
