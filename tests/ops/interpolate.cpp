#include <selfpatch/ops/interpolate.hpp>

#include "ops_testing.hpp"

namespace {

using table_shape = sp::shape<1, sp::dyn, 3>;
constexpr sp::position_rule rules[] = {sp::position_rule::offset, sp::position_rule::plain,
                                       sp::position_rule::antialias};

auto resized(sp::grid to, sp::position_rule rule) {
  return [=](const auto& table) { return sp::interpolate(table, to, rule); };
}

}  // namespace

TEST_CASE("interpolate leaves a table on its own grid as it is, bit for bit",
          "[ops][interpolate]") {
  const auto table = random_tensor<float>(table_shape(36));
  for (const auto rule : rules)
    CHECK(largest_difference(sp::interpolate(table, {6, 6}, rule), table) == 0);
}

TEST_CASE("interpolate's weights for 14 to 6 cells are the published ones, off-center as they are",
          "[ops][interpolate]") {
  const auto w = sp::resample_weights(6, 14, sp::position_rule::offset);
  CHECK(w[0] == Approx(0.335622).epsilon(1e-5));
  CHECK(w[1] == Approx(0.775220).epsilon(1e-5));
  CHECK(w[2] == Approx(-0.110842).epsilon(1e-5));
  CHECK(w[5 * 14 + 11] == Approx(-0.070932).epsilon(1e-5));
  CHECK(w[5 * 14 + 12] == Approx(0.968310).epsilon(1e-5));
  CHECK(w[5 * 14 + 13] == Approx(0.102621).epsilon(1e-5));
}

TEST_CASE("interpolate's weights of a cell sum to one under every rule", "[ops][interpolate]") {
  for (const auto rule : rules)
    for (const sp::index M : {1, 2, 6, 14, 37})
      for (const sp::index n : {1, 2, 3, 5, 14, 30, 52}) {
        const auto w = sp::resample_weights(n, M, rule);
        for (sp::index o = 0; o < n; ++o) {
          double sum = 0;
          for (sp::index j = 0; j < M; ++j) sum += w[std::size_t(o * M + j)];
          CHECK(sum == Approx(1).epsilon(1e-12));
        }
      }
}

TEST_CASE("interpolate's plain rule is symmetric, the published one is not", "[ops][interpolate]") {
  const auto asymmetry = [](sp::position_rule rule) {
    const auto w = sp::resample_weights(6, 14, rule);
    double most = 0;
    for (std::size_t i = 0; i < 84; ++i) most = std::max(most, std::abs(w[i] - w[83 - i]));
    return most;
  };
  CHECK(asymmetry(sp::position_rule::plain) < 1e-14);
  CHECK(asymmetry(sp::position_rule::antialias) < 1e-14);
  CHECK(asymmetry(sp::position_rule::offset) > 0.1);
}

TEST_CASE("interpolate keeps a constant table constant on any grid", "[ops][interpolate]") {
  sp::tensor<double, table_shape> table(table_shape(49));
  for (double& v : table.values()) v = 2.5;
  for (const auto rule : rules)
    for (const sp::grid g : {sp::grid{3, 5}, sp::grid{12, 7}, sp::grid{1, 1}}) {
      const auto y = sp::interpolate(table, g, rule);
      for (const double v : y.values()) CHECK(v == Approx(2.5));
    }
}

TEMPLATE_TEST_CASE("interpolate's backward is the derivative of its forward",
                   "[ops][interpolate][grad]", sp::reference, sp::cpu) {
  for (const auto rule : rules)
    for (const sp::grid g : {sp::grid{2, 3}, sp::grid{5, 4}, sp::grid{3, 3}})
      CHECK(sp::gradcheck(resized(g, rule),
                          on_device<TestType>(random_tensor<double>(table_shape(9)))) < 1e-7);
}

TEST_CASE("interpolate is the same on the cpu, with any number of threads",
          "[ops][interpolate][parallel]") {
  const auto table = random_tensor<float>(table_shape(196));
  CHECK(disagreement(resized({6, 9}, sp::position_rule::offset), table) < 1e-6);
  CHECK(same_bits(resized({6, 9}, sp::position_rule::offset), table));
}

TEST_CASE("interpolate refuses a table that is not square", "[ops][interpolate]") {
  CHECK_THROWS_WITH(
      sp::interpolate(random_tensor<float>(table_shape(12)), {2, 2}, sp::position_rule::plain),
      contains("1 x 12 x 3"));
}
