#include <selfpatch/ops/mean_rows.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x) { return sp::mean_rows(x); };
using matrix = sp::shape<sp::dyn, sp::dyn>;

}  // namespace

TEST_CASE("mean_rows averages down the columns", "[ops][mean_rows]") {
  sp::tensor<float, sp::shape<2, 3>> x;
  for (int i = 0; i < 6; ++i) x.data()[i] = float(i);
  const auto y = sp::mean_rows(x);
  CHECK(y.data()[0] == 1.5f);
  CHECK(y.data()[1] == 2.5f);
  CHECK(y.data()[2] == 3.5f);
}

TEST_CASE("mean_rows does not lose small numbers beside a large sum", "[ops][mean_rows]") {
  sp::tensor<float, matrix> x(matrix(100001, 1));
  for (float& v : x.values()) v = 1e-3f;
  x.data()[0] = 1e5f;
  CHECK(sp::mean_rows(x).data()[0] == Approx((1e5 + 100) / 100001).epsilon(1e-6));
}

TEMPLATE_TEST_CASE("mean_rows' backward is the derivative of its forward", "[ops][mean_rows][grad]",
                   sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(sp::shape<sp::dyn, 5>(4)))) <
        1e-7);
}

TEST_CASE("mean_rows is the same on the cpu, with any number of threads",
          "[ops][mean_rows][parallel]") {
  const auto x = random_tensor<float>(matrix(300, 200));
  CHECK(disagreement(op, x) == 0);
  CHECK(same_bits(op, x));
}
