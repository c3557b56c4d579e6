#include <selfpatch/ops/neighbor_similarity.hpp>

#include "ops_testing.hpp"

namespace {

using tokens = sp::shape<sp::dyn, sp::dyn, sp::dyn>;
using choice = sp::tensor<std::int32_t, tokens>;

// Three patches an image: the first chose both others, the second itself and the first, the third
// the second and nothing.
choice example(sp::index images) {
  choice c(tokens(images, 3, 2));
  const std::int32_t one[] = {1, 2, 1, 0, 1, -1};
  for (sp::index b = 0; b < images; ++b) std::copy(one, one + 6, c.data() + b * 6);
  return c;
}

auto with(const choice& c) {
  return [&c](const auto& x) {
    using D = sp::device_of<decltype(x)>;
    static thread_local sp::tensor<std::int32_t, tokens, D>
        there;  // must outlive the backward pass
    there = on_device<D>(c);
    return sp::neighbor_similarity(x, there);
  };
}

}  // namespace

TEST_CASE("neighbor_similarity is the cosine of the chosen, and -inf where none is",
          "[ops][neighbor_similarity]") {
  const auto x = random_tensor<double>(tokens(2, 3, 4));
  const auto s = sp::neighbor_similarity(x, example(2));
  for (sp::index b = 0; b < 2; ++b) {
    const auto cosine = [&](sp::index i, sp::index j) {
      double ij = 0, ii = 0, jj = 0;
      for (int c = 0; c < 4; ++c) {
        const double u = rows(x).row(3 * b + i)[c], v = rows(x).row(3 * b + j)[c];
        ij += u * v, ii += u * u, jj += v * v;
      }
      return ij / std::sqrt(ii * jj);
    };
    CHECK(rows(s).row(3 * b)[0] == Approx(cosine(0, 1)));
    CHECK(rows(s).row(3 * b)[1] == Approx(cosine(0, 2)));
    CHECK(rows(s).row(3 * b + 1)[0] == Approx(1));
    CHECK(rows(s).row(3 * b + 2)[0] == Approx(cosine(2, 1)));
    CHECK(rows(s).row(3 * b + 2)[1] == -std::numeric_limits<double>::infinity());
  }
}

TEST_CASE("neighbor_similarity gives what neighbor_topk found again",
          "[ops][neighbor_similarity]") {
  for (const auto edge : {sp::border::torus, sp::border::clamped}) {
    const auto x = random_tensor<float>(tokens(3, 20, 24));
    const auto found = sp::neighbor_topk(x, {4, 5}, {.k = 8, .edge = edge});
    CHECK(largest_difference(sp::neighbor_similarity(x, found.index), found.similarity) < 1e-6);
  }
}

TEMPLATE_TEST_CASE("neighbor_similarity's backward is the derivative of its forward",
                   "[ops][neighbor_similarity][grad]", sp::reference, sp::cpu) {
  const auto x = on_device<TestType>(random_tensor<double>(tokens(2, 9, 5)));
  const auto found = sp::neighbor_topk(x, {3, 3}, {.k = 4});
  CHECK(sp::gradcheck(with(on_device<sp::cpu>(found.index)), x) < 1e-7);
}

TEST_CASE("neighbor_similarity has no gradient along a row, and none from an empty slot",
          "[ops][neighbor_similarity][grad]") {
  sp::tape on;
  const auto x = on.variable(random_tensor<double>(tokens(1, 3, 4)));
  const auto c = example(1);
  on.backward(sp::neighbor_similarity(x, c));
  for (sp::index i = 0; i < 3; ++i) {
    double along = 0;
    for (int d = 0; d < 4; ++d) along += rows(x.value()).row(i)[d] * rows(x.gradient()).row(i)[d];
    CHECK(along == Approx(0).margin(1e-14));
  }
}

TEST_CASE("neighbor_similarity of a zero row is 0 and its gradient finite",
          "[ops][neighbor_similarity][grad]") {
  auto values = random_tensor<double>(tokens(1, 3, 4));
  for (int d = 0; d < 4; ++d) rows(values).row(1)[d] = 0;
  sp::tape on;
  const auto x = on.variable(std::move(values));
  const auto c = example(1);
  const auto s = sp::neighbor_similarity(x, c);
  CHECK(s.value().data()[0] == 0);
  CHECK(s.value().data()[2] == 0);
  on.backward(s);
  for (const double g : x.gradient().values()) CHECK(std::isfinite(g));
}

TEST_CASE("neighbor_similarity is the same on the cpu, with any number of threads",
          "[ops][neighbor_similarity][parallel]") {
  const auto c = example(40);
  const auto x = random_tensor<float>(tokens(40, 3, 16));
  CHECK(disagreement(with(c), x) == 0);
  CHECK(same_bits(with(c), x));
}

TEST_CASE("neighbor_similarity refuses an index of other patches", "[ops][neighbor_similarity]") {
  const auto x = random_tensor<float>(tokens(2, 4, 8));
  CHECK_THROWS_WITH(sp::neighbor_similarity(x, example(2)), contains("index is (B, N, K)"));
}
