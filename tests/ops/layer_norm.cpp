#include <selfpatch/ops/layer_norm.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x, const auto& gain, const auto& bias) {
  return sp::layer_norm(x, gain, bias);
};

template <class T>
auto filled(sp::index n, T value) {
  sp::tensor<T, sp::shape<sp::dyn>> x(sp::shape<sp::dyn>{n});
  for (T& v : x.values()) v = value;
  return x;
}

}  // namespace

TEST_CASE("layer_norm gives every row mean 0 and variance 1", "[ops][layer_norm]") {
  const auto x = random_tensor<double>(sp::shape<sp::dyn, sp::dyn>(5, 7));
  const auto y = sp::layer_norm(x, filled(7, 1.0), filled(7, 0.0), 0);
  for (sp::index r = 0; r < 5; ++r) {
    double sum = 0, squares = 0;
    for (int d = 0; d < 7; ++d) {
      const double v = rows(y).row(r)[d];
      sum += v;
      squares += v * v;
    }
    CHECK(sum / 7 == Approx(0).margin(1e-12));
    CHECK(squares / 7 == Approx(1));
  }
}

TEST_CASE("layer_norm of a constant row is the bias", "[ops][layer_norm]") {
  sp::tensor<float, sp::shape<2, sp::dyn>> x(sp::shape<2, sp::dyn>(6));
  for (float& v : x.values()) v = 3.25f;
  const auto y = sp::layer_norm(x, filled(6, 2.0f), filled(6, -1.5f));
  for (const float v : y.values()) CHECK(v == -1.5f);
}

TEMPLATE_TEST_CASE("layer_norm's backward is the derivative of its forward",
                   "[ops][layer_norm][grad]", sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(sp::shape<sp::dyn, 7>(5), 1)),
                      on_device<TestType>(random_tensor<double>(sp::shape<7>(), 2)),
                      on_device<TestType>(random_tensor<double>(sp::shape<7>(), 3))) < 1e-7);
}

TEST_CASE("layer_norm's cpu kernel agrees with the reference at all small sizes",
          "[ops][layer_norm]") {
  double worst = 0;
  for (const int R : {0, 1, 5, 33, 70})
    for (int D = 2; D <= 36; ++D)
      worst = std::max(worst,
                       disagreement(op, random_tensor<float>(sp::shape<sp::dyn, sp::dyn>(R, D), 1),
                                    random_tensor<float>(sp::shape<sp::dyn>(D), 2),
                                    random_tensor<float>(sp::shape<sp::dyn>(D), 3)));
  CHECK(worst < 1e-5);
}

TEST_CASE("layer_norm's cpu kernel agrees with the reference on rows that invite trouble",
          "[ops][layer_norm]") {
  const auto x = adversarial_tensor<float>(sp::shape<sp::dyn, sp::dyn>(30, 24));
  const auto gain = random_tensor<float>(sp::shape<sp::dyn>(24), 2),
             bias = random_tensor<float>(sp::shape<sp::dyn>(24), 3);
  CHECK(disagreement(op, x, gain, bias) < 1e-5);
}

TEST_CASE("layer_norm keeps a NaN within its row", "[ops][layer_norm]") {
  auto x = random_tensor<float>(sp::shape<sp::dyn, sp::dyn>(6, 20));
  x.data()[2 * 20 + 19] = std::numeric_limits<float>::quiet_NaN();
  const auto y = sp::layer_norm(x, filled(20, 1.0f), filled(20, 0.0f));
  for (sp::index r = 0; r < 6; ++r)
    for (int d = 0; d < 20; ++d) CHECK(std::isnan(rows(y).row(r)[d]) == (r == 2));
}

TEST_CASE("layer_norm has the same bits for any number of threads", "[ops][layer_norm][parallel]") {
  CHECK(same_bits(op, random_tensor<float>(sp::shape<sp::dyn, sp::dyn>(500, 48), 1),
                  random_tensor<float>(sp::shape<sp::dyn>(48), 2),
                  random_tensor<float>(sp::shape<sp::dyn>(48), 3)));
}
