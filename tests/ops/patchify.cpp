#include <selfpatch/ops/patchify.hpp>

#include "ops_testing.hpp"

namespace {

const auto op = [](const auto& x) { return sp::patchify<2>(x); };
using images = sp::shape<sp::dyn, 3, sp::dyn, sp::dyn>;

}  // namespace

TEST_CASE("patchify puts pixel (y, x) of channel c where a convolution's weight has it",
          "[ops][patchify]") {
  const auto x = random_tensor<float>(images(2, 4, 6));
  const auto y = sp::patchify<2>(x);
  REQUIRE(y.extent(1) == 6);
  REQUIRE(y.extent(2) == 12);
  for (sp::index b = 0; b < 2; ++b)
    for (sp::index c = 0; c < 3; ++c)
      for (sp::index i = 0; i < 4; ++i)
        for (sp::index j = 0; j < 6; ++j) {
          const float pixel = x.data()[((b * 3 + c) * 4 + i) * 6 + j];
          CHECK(rows(y).row(b * 6 + i / 2 * 3 + j / 2)[(c * 2 + i % 2) * 2 + j % 2] == pixel);
        }
}

TEMPLATE_TEST_CASE("patchify's backward is the derivative of its forward", "[ops][patchify][grad]",
                   sp::reference, sp::cpu) {
  CHECK(sp::gradcheck(op, on_device<TestType>(random_tensor<double>(images(2, 4, 2)))) < 1e-7);
}

TEST_CASE("patchify is the same on the cpu, with any number of threads",
          "[ops][patchify][parallel]") {
  const auto x = random_tensor<float>(images(5, 64, 48));
  CHECK(disagreement(op, x) == 0);
  CHECK(same_bits(op, x));
}

TEST_CASE("patchify refuses sides that are no multiples of the patch", "[ops][patchify]") {
  CHECK_THROWS_WITH(sp::patchify<2>(random_tensor<float>(images(1, 4, 5))),
                    contains("multiples of 2, found 4 x 5"));
  CHECK_THROWS_WITH(sp::patchify<2>(random_tensor<float>(images(1, 0, 4))),
                    contains("found 0 x 4"));
}
