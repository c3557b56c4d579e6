#include <selfpatch/ops/attention.hpp>

#include "ops_testing.hpp"

namespace {

const auto two_heads = [](const auto& qkv) { return sp::attention(qkv, 2); };
using dynamic = sp::shape<sp::dyn, sp::dyn, sp::dyn>;

}  // namespace

TEST_CASE("attention with equal keys averages the values", "[ops][attention]") {
  auto qkv = random_tensor<double>(sp::shape<1, 4, 6>());  // W = 2, one head
  for (sp::index i = 0; i < 4; ++i) rows(qkv).row(i)[2] = rows(qkv).row(i)[3] = 0.5;
  const auto y = sp::attention(qkv, 1);
  for (int d = 0; d < 2; ++d) {
    double mean = 0;
    for (sp::index j = 0; j < 4; ++j) mean += rows(qkv).row(j)[4 + d] / 4;
    for (sp::index i = 0; i < 4; ++i) CHECK(rows(y).row(i)[d] == Approx(mean));
  }
}

TEST_CASE("attention of a single token is its value", "[ops][attention]") {
  const auto qkv = random_tensor<float>(sp::shape<3, 1, 12>());
  const auto y = sp::attention(qkv, 2);
  for (sp::index b = 0; b < 3; ++b)
    for (int d = 0; d < 4; ++d) CHECK(rows(y).row(b)[d] == Approx(rows(qkv).row(b)[8 + d]));
}

TEST_CASE("attention's heads and samples do not see each other", "[ops][attention]") {
  auto qkv = random_tensor<double>(sp::shape<2, 5, 12>());
  const auto before = sp::attention(qkv, 2);
  for (sp::index j = 0; j < 5; ++j)
    for (const int d : {2, 3, 6, 7, 10, 11}) rows(qkv).row(j)[d] += 1;  // head 1 of sample 0
  const auto after = sp::attention(qkv, 2);
  for (sp::index r = 0; r < 10; ++r)
    for (int d = 0; d < 4; ++d)
      CHECK((rows(before).row(r)[d] == rows(after).row(r)[d]) == (r >= 5 || d < 2));
}

TEMPLATE_TEST_CASE("attention's backward is the derivative of its forward",
                   "[ops][attention][grad]", sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(two_heads, on_device<TestType>(
                                     random_tensor<double>(sp::shape<sp::dyn, 5, 24>(2)))) < 1e-7);
}

TEST_CASE("attention's cpu kernel agrees with the reference at all small sizes",
          "[ops][attention]") {
  double worst = 0;
  for (const int B : {1, 2})
    for (const int N : {1, 2, 3, 15, 16, 17, 33})
      for (const int P : {1, 3, 8, 17})
        worst =
            std::max(worst, disagreement(two_heads, random_tensor<float>(dynamic(B, N, 6 * P), 1)));
  CHECK(worst < 1e-5);
}

TEST_CASE("attention survives scores far beyond the range of exp", "[ops][attention]") {
  auto qkv = random_tensor<float>(sp::shape<1, 6, 24>());
  for (float& v : qkv.values()) v *= 300;
  CHECK(disagreement(two_heads, qkv) < 1e-4);
  const auto y = sp::attention(qkv, 2);
  for (const float v : y.values()) CHECK(std::isfinite(v));
}

TEST_CASE("attention passes a NaN on to its sample and no other", "[ops][attention]") {
  auto qkv = random_tensor<float>(sp::shape<2, 4, 12>());
  qkv.data()[1 * 12 + 4] = std::numeric_limits<float>::quiet_NaN();  // a key of sample 0
  const auto y = sp::attention(qkv, 1);
  for (sp::index r = 0; r < 8; ++r) CHECK(std::isnan(rows(y).row(r)[0]) == (r < 4));
}

TEST_CASE("attention has the same bits for any number of threads", "[ops][attention][parallel]") {
  CHECK(same_bits(two_heads, random_tensor<float>(dynamic(3, 40, 48), 1)));
}

TEST_CASE("attention refuses a width that the heads do not divide", "[ops][attention]") {
  const auto qkv = random_tensor<float>(dynamic(1, 2, 15));
  CHECK_THROWS_WITH(sp::attention(qkv, 2), contains("the width must be a multiple of heads"));
}

TEMPLATE_TEST_CASE("attention adds to a gradient that another op has reached",
                   "[ops][attention][grad]", sp::reference, sp::cpu) {
  CHECK(adds_to_gradients<TestType>(two_heads, random_tensor<double>(dynamic(2, 21, 12), 1)));
}
