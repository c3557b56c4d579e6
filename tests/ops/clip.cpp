#include <selfpatch/ops/clip.hpp>

#include "ops_testing.hpp"

namespace {
using vector = sp::shape<sp::dyn>;
}  // namespace

TEST_CASE("clip's coefficient is 1 within the limit, else limit over norm", "[ops][clip]") {
  CHECK(sp::clip_coefficient(2.9, 3) == 1);
  CHECK(sp::clip_coefficient(6, 3) == Approx(0.5));
  CHECK(sp::clip_coefficient(6, 3) == 3 / (6 + 1e-6));
  CHECK(sp::clip_coefficient(1e9, 0) == 1);  // off
}

TEST_CASE("clip's norm is the length, summed in double", "[ops][clip]") {
  sp::tensor<float, vector> g(vector(300001));
  for (float& x : g.values()) x = 1e-3f;
  g.data()[7] = 1e4f;  // its square alone is beyond the last digit of a sum in float
  CHECK(sp::squared_norm(g) == Approx(1e8 + 0.3).epsilon(1e-12));
}

TEST_CASE("clip's norm shows a NaN or an infinity anywhere", "[ops][clip]") {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()})
    for (const int at : {0, 65535, 65536, 99999}) {
      auto g = random_tensor<float>(vector(100000));
      g.data()[at] = bad;
      CHECK_FALSE(std::isfinite(sp::squared_norm(g)));
    }
}

TEST_CASE("clip's norm has the same bits for any number of threads", "[ops][clip][parallel]") {
  const auto g = random_tensor<float>(vector(500000));
  const double one = sp::squared_norm(g);
  CHECK(sp::squared_norm(on_device<sp::reference>(g)) == one);
  for (int threads = 1; threads <= 4; ++threads) {
    sp::context<sp::cpu> on(threads);
    CHECK(sp::squared_norm(on_device(g, &on)) == one);
  }
}
