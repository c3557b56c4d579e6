#include <selfpatch/ops/tokens.hpp>

#include "ops_testing.hpp"

namespace {

using tokens = sp::shape<sp::dyn, sp::dyn, 4>;
const auto middle = [](const auto& x) { return sp::slice_tokens(x, 1, 2); };
const auto prepend = [](const auto& prefix, const auto& x) {
  return sp::prepend_tokens(prefix, x);
};
const auto concat = [](const auto& x, const auto& y) { return sp::concat_rows(x, y); };

}  // namespace

TEST_CASE("slice_tokens takes the same tokens of every sample", "[ops][tokens]") {
  const auto x = random_tensor<double>(tokens(2, 5), 1);
  const auto y = sp::slice_tokens(x, 1, 2);
  REQUIRE(y.extent(1) == 2);
  for (sp::index b = 0; b < 2; ++b)
    for (sp::index i = 0; i < 8; ++i) CHECK(y.data()[b * 8 + i] == x.data()[b * 20 + 4 + i]);
}

TEST_CASE("prepend_tokens puts the prefix before every sample", "[ops][tokens]") {
  const auto prefix = random_tensor<double>(tokens(1, 2), 1),
             x = random_tensor<double>(tokens(3, 4), 2);
  const auto y = sp::prepend_tokens(prefix, x);
  REQUIRE(y.extent(1) == 6);
  CHECK(largest_difference(sp::slice_tokens(y, 2, 4), x) == 0);
  for (sp::index b = 0; b < 3; ++b)
    for (sp::index i = 0; i < 8; ++i) CHECK(y.data()[b * 24 + i] == prefix.data()[i]);
}

TEST_CASE("concat_rows puts the rows of one below those of the other", "[ops][tokens]") {
  const auto x = random_tensor<double>(tokens(1, 3), 1), y = random_tensor<double>(tokens(2, 2), 2);
  const auto z = sp::concat_rows(x, y);
  REQUIRE(z.extent(0) == 7);
  for (sp::index i = 0; i < 12; ++i) CHECK(z.data()[i] == x.data()[i]);
  for (sp::index i = 0; i < 16; ++i) CHECK(z.data()[12 + i] == y.data()[i]);
}

TEMPLATE_TEST_CASE("the backward of movements along tokens is the derivative of their forward",
                   "[ops][tokens][grad]", sp::reference, sp::cpu) {
  const auto x = on_device<TestType>(random_tensor<double>(tokens(2, 4), 1));
  CHECK(sp::gradcheck(middle, x) < 1e-7);
  CHECK(sp::gradcheck(prepend, on_device<TestType>(random_tensor<double>(tokens(1, 2), 2)), x) <
        1e-7);
  CHECK(sp::gradcheck(concat, x, on_device<TestType>(random_tensor<double>(tokens(1, 3), 3))) <
        1e-7);
}

TEST_CASE("movements along tokens are the same on the cpu, with any number of threads",
          "[ops][tokens][parallel]") {
  const auto x = random_tensor<float>(tokens(9, 7), 1),
             prefix = random_tensor<float>(tokens(1, 2), 2);
  CHECK(disagreement(middle, x) == 0);
  CHECK(disagreement(prepend, prefix, x) == 0);
  CHECK(disagreement(concat, x, prefix) == 0);
  CHECK(same_bits(middle, x));
  CHECK(same_bits(prepend, prefix, x));
  CHECK(same_bits(concat, x, prefix));
}

TEST_CASE("movements along tokens refuse what lies outside", "[ops][tokens]") {
  const auto x = random_tensor<float>(tokens(2, 4));
  CHECK_THROWS_WITH(sp::slice_tokens(x, 3, 2), contains("the slice lies within N"));
  CHECK_THROWS_WITH(sp::slice_tokens(x, -1, 2), contains("the slice lies within N"));
  CHECK_THROWS_WITH(sp::prepend_tokens(x, x), contains("prefix is (1, P, W)"));
}
