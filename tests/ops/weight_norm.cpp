#include <selfpatch/ops/weight_norm.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& z, const auto& v, const auto& g) {
  return sp::weight_norm(z, v, g);
};
using matrix = sp::shape<sp::dyn, sp::dyn>;
using column = sp::shape<sp::dyn, 1>;

}  // namespace

TEST_CASE("weight_norm's logits do not depend on the lengths of v", "[ops][weight_norm]") {
  const auto z = random_tensor<double>(matrix(3, 5), 1);
  auto v = random_tensor<double>(matrix(4, 5), 2);
  const auto g = random_tensor<double>(column(4), 3);
  const auto before = sp::weight_norm(z, v, g);
  for (sp::index o = 0; o < 4; ++o)
    for (int p = 0; p < 5; ++p) rows(v).row(o)[p] *= double(o) + 0.5;
  CHECK(largest_difference(sp::weight_norm(z, v, g), before) < 1e-14);
}

TEST_CASE("weight_norm of a row along v is that row's length times g", "[ops][weight_norm]") {
  sp::tensor<double, sp::shape<1, 2>> z, v;
  sp::tensor<double, sp::shape<1, 1>> g;
  z.data()[0] = v.data()[0] = 3;
  z.data()[1] = v.data()[1] = 4;
  g.data()[0] = 2;
  CHECK(sp::weight_norm(z, v, g).data()[0] == Approx(10));
}

TEMPLATE_TEST_CASE("weight_norm's backward is the derivative of its forward",
                   "[ops][weight_norm][grad]", sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(matrix(3, 5), 1)),
                      on_device<TestType>(random_tensor<double>(matrix(7, 5), 2)),
                      on_device<TestType>(random_tensor<double>(column(7), 3))) < 1e-7);
}

TEST_CASE("weight_norm's gradient of v is at right angles to v", "[ops][weight_norm]") {
  sp::tape on;
  const auto z = on.variable(random_tensor<double>(matrix(6, 5), 1)),
             v = on.variable(random_tensor<double>(matrix(4, 5), 2));
  const auto g = on.variable(random_tensor<double>(column(4), 3));
  on.backward(sp::weight_norm(z, v, g));
  for (sp::index o = 0; o < 4; ++o) {
    double along = 0;
    for (int p = 0; p < 5; ++p) along += rows(v.value()).row(o)[p] * rows(v.gradient()).row(o)[p];
    CHECK(along == Approx(0).margin(1e-13));
  }
}

TEST_CASE("weight_norm's cpu kernel agrees with the reference at all small sizes",
          "[ops][weight_norm]") {
  double worst = 0;
  for (const int R : {1, 2, 17})
    for (const int P : {2, 3, 16, 33})
      for (const int O : {1, 2, 31, 40})
        worst = std::max(worst, disagreement(op, random_tensor<float>(matrix(R, P), 1),
                                             random_tensor<float>(matrix(O, P), 2),
                                             random_tensor<float>(column(O), 3)));
  CHECK(worst < 1e-5);
}

TEMPLATE_TEST_CASE("weight_norm's rows of one number do not depend on its size", "[ops][weight_norm]",
                   sp::reference, sp::cpu) {
  const auto all = value_and_gradients<TestType>(
      op, nullptr, random_tensor<double>(matrix(5, 1), 1), random_tensor<double>(matrix(40, 1), 2),
      random_tensor<double>(column(40), 3));
  for (const double dv : all[2]) CHECK(std::abs(dv) < 1e-12);
}

TEST_CASE("weight_norm's cpu kernel agrees with the reference where v is huge or tiny",
          "[ops][weight_norm]") {
  auto v = random_tensor<float>(matrix(21, 24), 2);
  for (sp::index o = 0; o < 21; ++o)
    for (int p = 0; p < 24; ++p)
      rows(v).row(o)[p] *= o % 3 == 1 ? 1e12f : o % 3 == 2 ? 1e-12f : 1.0f;
  CHECK(disagreement(op, random_tensor<float>(matrix(5, 24), 1), v,
                     random_tensor<float>(column(21), 3)) < 1e-5);
}

TEST_CASE("weight_norm has the same bits for any number of threads",
          "[ops][weight_norm][parallel]") {
  CHECK(same_bits(op, random_tensor<float>(matrix(120, 24), 1),
                  random_tensor<float>(matrix(1500, 24), 2),
                  random_tensor<float>(column(1500), 3)));
}
