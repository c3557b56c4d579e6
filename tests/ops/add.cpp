#include <selfpatch/ops/add.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x, const auto& p) { return sp::add(x, p); };
using tokens = sp::shape<sp::dyn, sp::dyn, sp::dyn>;

}  // namespace

TEST_CASE("add repeats the rows of its second input down the first", "[ops][add]") {
  const auto x = random_tensor<double>(tokens(2, 3, 4), 1);
  const auto table = random_tensor<double>(tokens(1, 3, 4), 2),
             one = random_tensor<double>(tokens(1, 1, 4), 3);
  const auto y = sp::add(x, table), z = sp::add(x, one);
  for (sp::index i = 0; i < 24; ++i) {
    CHECK(y.data()[i] == x.data()[i] + table.data()[i % 12]);
    CHECK(z.data()[i] == x.data()[i] + one.data()[i % 4]);
  }
}

TEMPLATE_TEST_CASE("add's backward is the derivative of its forward", "[ops][add][grad]",
                   sp::reference, sp::cpu) {
  for (const int r : {1, 3, 6})
    CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(tokens(2, 3, 4), 1)),
                        on_device<TestType>(random_tensor<double>(tokens(1, r, 4), 2))) < 1e-7);
}

TEST_CASE("add of a variable to itself doubles its gradient", "[ops][add]") {
  sp::tape on;
  const auto x = on.variable(random_tensor<double>(tokens(1, 2, 3)));
  on.backward(sp::add(x, x));
  for (const double g : x.gradient().values()) CHECK(g == 2);
}

TEST_CASE("add is the same on the cpu, with any number of threads", "[ops][add][parallel]") {
  const auto x = random_tensor<float>(tokens(8, 70, 16), 1),
             p = random_tensor<float>(tokens(1, 70, 16), 2);
  CHECK(disagreement(op, x, p) == 0);
  CHECK(same_bits(op, x, p));
}

TEST_CASE("add refuses rows that do not repeat", "[ops][add]") {
  CHECK_THROWS_WITH(
      sp::add(random_tensor<float>(tokens(2, 3, 4)), random_tensor<float>(tokens(1, 4, 4))),
      contains("the rows of x are a multiple of those of p"));
  CHECK_THROWS_WITH(
      sp::add(random_tensor<float>(tokens(2, 3, 4)), random_tensor<float>(tokens(1, 3, 5))),
      contains("must have the same W; expected 4, found 5"));
}
