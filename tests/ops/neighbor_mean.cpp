#include <selfpatch/ops/neighbor_mean.hpp>

#include "ops_testing.hpp"

namespace {

using tokens = sp::shape<sp::dyn, sp::dyn, sp::dyn>;
using choice = sp::tensor<std::int32_t, tokens>;

// Three patches: the first chose both others, the second itself is chosen twice over, the third
// chose none.
choice example(sp::index images) {
  choice c(tokens(images, 3, 2));
  const std::int32_t one[] = {1, 2, 0, -1, -1, -1};
  for (sp::index b = 0; b < images; ++b) std::copy(one, one + 6, c.data() + b * 6);
  return c;
}

auto with(const choice& c) {
  return [&c](const auto& x) {
    using D = sp::device_of<decltype(x)>;
    static thread_local sp::tensor<std::int32_t, tokens, D> there;
    there = on_device<D>(c);
    return sp::neighbor_mean(x, there);
  };
}

}  // namespace

TEST_CASE("neighbor_mean averages the chosen, and a patch without any stands for itself",
          "[ops][neighbor_mean]") {
  const auto x = random_tensor<double>(tokens(2, 3, 4));
  const auto y = sp::neighbor_mean(x, example(2));
  for (sp::index b = 0; b < 2; ++b)
    for (int d = 0; d < 4; ++d) {
      const auto at = [&](sp::index j) { return rows(x).row(3 * b + j)[d]; };
      CHECK(rows(y).row(3 * b)[d] == Approx((at(1) + at(2)) / 2));
      CHECK(rows(y).row(3 * b + 1)[d] == at(0));
      CHECK(rows(y).row(3 * b + 2)[d] == at(2));
    }
}

TEMPLATE_TEST_CASE("neighbor_mean's backward is the derivative of its forward",
                   "[ops][neighbor_mean][grad]", sp::reference, sp::cpu) {
  const auto c = example(2);
  CHECK(sp::gradcheck(with(c), on_device<TestType>(random_tensor<double>(tokens(2, 3, 4)))) < 1e-7);
}

TEST_CASE("neighbor_mean is the same on the cpu, with any number of threads",
          "[ops][neighbor_mean][parallel]") {
  const auto c = example(40);
  const auto x = random_tensor<float>(tokens(40, 3, 16));
  CHECK(disagreement(with(c), x) == 0);
  CHECK(same_bits(with(c), x));
}
