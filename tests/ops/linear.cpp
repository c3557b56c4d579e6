#include <selfpatch/ops/linear.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x, const auto& w, const auto& bias) {
  return sp::linear(x, w, bias);
};

}  // namespace

TEST_CASE("linear multiplies by the transposed weight and adds the bias", "[ops][linear]") {
  sp::tensor<double, sp::shape<2, 3>> x, w;
  sp::tensor<double, sp::shape<2>> bias;
  for (int i = 0; i < 6; ++i)
    x.data()[i] = i, w.data()[i] = i % 3 == i / 3;  // rows (1 0 0) and (0 1 0)
  bias.data()[0] = 10;
  bias.data()[1] = 20;

  const auto y = sp::linear(x, w, bias);

  CHECK(y.data()[0] == 10);
  CHECK(y.data()[1] == 21);
  CHECK(y.data()[2] == 13);
  CHECK(y.data()[3] == 24);
}

TEMPLATE_TEST_CASE("linear's backward is the derivative of its forward", "[ops][linear][grad]",
                   sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op,
                      on_device<TestType>(random_tensor<double>(sp::shape<sp::dyn, 3, 5>(2), 1)),
                      on_device<TestType>(random_tensor<double>(sp::shape<7, 5>(), 2)),
                      on_device<TestType>(random_tensor<double>(sp::shape<7>(), 3))) < 1e-7);
}

TEST_CASE("linear's cpu kernel agrees with the reference at all small sizes", "[ops][linear]") {
  using matrix = sp::shape<sp::dyn, sp::dyn>;
  double worst = 0;
  for (const int R : {0, 1, 2, 15, 33})
    for (const int K : {1, 3, 16, 17})
      for (const int N : {1, 2, 31, 32, 33})
        worst = std::max(worst, disagreement(op, random_tensor<float>(matrix(R, K), 1),
                                             random_tensor<float>(matrix(N, K), 2),
                                             random_tensor<float>(sp::shape<sp::dyn>(N), 3)));
  CHECK(worst < 2e-6);
}

TEST_CASE("linear's cpu kernel agrees with the reference on rows that invite trouble",
          "[ops][linear]") {
  auto x = adversarial_tensor<float>(sp::shape<sp::dyn, 40>(30));
  const auto w = random_tensor<float>(sp::shape<24, 40>(), 2);
  const auto bias = random_tensor<float>(sp::shape<24>(), 3);
  CHECK(disagreement(op, x, w, bias) < 2e-6);

  x.data()[5 * 40 + 7] = std::numeric_limits<float>::quiet_NaN();
  const auto y = sp::linear(x, w, bias);
  for (sp::index r = 0; r < 30; ++r) CHECK(std::isnan(rows(y).row(r)[11]) == (r == 5));
}

TEST_CASE("linear has the same bits for any number of threads", "[ops][linear][parallel]") {
  CHECK(same_bits(op, random_tensor<float>(sp::shape<sp::dyn, 96>(700), 1),
                  random_tensor<float>(sp::shape<80, 96>(), 2),
                  random_tensor<float>(sp::shape<80>(), 3)));
}

TEST_CASE("linear takes a convolution's weight whose later extents multiply to K",
          "[ops][linear]") {
  const auto x = random_tensor<double>(sp::shape<4, 12>(), 1);
  const auto w = random_tensor<double>(sp::shape<5, 3, 2, 2>(), 2);
  const auto bias = random_tensor<double>(sp::shape<5>(), 3);
  sp::tensor<double, sp::shape<5, 12>> flat;
  std::copy_n(w.data(), w.size(), flat.data());
  CHECK(largest_difference(sp::linear(x, w, bias), sp::linear(x, flat, bias)) == 0);
}

TEST_CASE("linear refuses widths that only the run knows to differ", "[ops][linear]") {
  const auto x = random_tensor<float>(sp::shape<2, sp::dyn>(5));
  const auto w = random_tensor<float>(sp::shape<3, sp::dyn>(4));
  const auto bias = random_tensor<float>(sp::shape<3>());
  CHECK_THROWS_WITH(sp::linear(x, w, bias), contains("must have the same K; expected 5, found 4"));
}

TEMPLATE_TEST_CASE("linear adds to a gradient that another op has reached", "[ops][linear][grad]",
                   sp::reference, sp::cpu) {
  const auto w = on_device<TestType>(random_tensor<double>(sp::shape<5, 12>(), 2));
  const auto bias = on_device<TestType>(random_tensor<double>(sp::shape<5>(), 3));
  CHECK(adds_to_gradients<TestType>([&](const auto& x) { return sp::linear(x, w, bias); },
                                    random_tensor<double>(sp::shape<4, 12>(), 1)));
}
