#include <selfpatch/ops/class_attention.hpp>

#include "ops_testing.hpp"

namespace {

const auto two_heads = [](const auto& q, const auto& k0, const auto& v0, const auto& k,
                          const auto& v) { return sp::class_attention(q, k0, v0, k, v, 2); };
using matrix = sp::shape<sp::dyn, sp::dyn>;
using tokens = sp::shape<sp::dyn, sp::dyn, sp::dyn>;

template <class T>
auto inputs(sp::index queries, sp::index B, sp::index N, sp::index W) {
  return std::tuple(random_tensor<T>(matrix(queries, W), 1),
                    random_tensor<T>(matrix(queries, W), 2),
                    random_tensor<T>(matrix(queries, W), 3), random_tensor<T>(tokens(B, N, W), 4),
                    random_tensor<T>(tokens(B, N, W), 5));
}

}  // namespace

TEST_CASE("class_attention of a query without tokens is its own value", "[ops][class_attention]") {
  const auto [q, k0, v0, k, v] = inputs<double>(2, 2, 0, 4);
  CHECK(largest_difference(sp::class_attention(q, k0, v0, k, v, 2), v0) < 1e-15);
}

TEST_CASE("class_attention's own key counts like a token's", "[ops][class_attention]") {
  auto [q, k0, v0, k, v] = inputs<double>(1, 1, 3, 4);
  for (double& x : q.values()) x = 0;  // all scores are 0
  const auto y = sp::class_attention(q, k0, v0, k, v, 2);
  for (int d = 0; d < 4; ++d) {
    double sum = v0.data()[d];
    for (sp::index j = 0; j < 3; ++j) sum += rows(v).row(j)[d];
    CHECK(y.data()[d] == Approx(sum / 4));
  }
}

TEST_CASE("class_attention with one query for all is that query repeated",
          "[ops][class_attention]") {
  const auto [q, k0, v0, k, v] = inputs<double>(1, 3, 5, 6);
  const auto repeated = [](const auto& x) {
    sp::tensor<double, matrix> y(matrix(3, 6));
    for (int b = 0; b < 3; ++b) std::copy_n(x.data(), 6, y.data() + b * 6);
    return y;
  };
  CHECK(largest_difference(sp::class_attention(q, k0, v0, k, v, 2),
                           sp::class_attention(repeated(q), repeated(k0), repeated(v0), k, v, 2)) ==
        0);
}

TEMPLATE_TEST_CASE("class_attention's backward is the derivative of its forward",
                   "[ops][class_attention][grad]", sp::reference, sp::cpu) {
  for (const int queries : {1, 2}) {
    const auto [q, k0, v0, k, v] = inputs<double>(queries, 2, 3, 6);
    CHECK(sp::gradcheck(two_heads, on_device<TestType>(q), on_device<TestType>(k0),
                        on_device<TestType>(v0), on_device<TestType>(k),
                        on_device<TestType>(v)) < 1e-7);
  }
}

TEST_CASE("class_attention's cpu kernel agrees with the reference at all small sizes",
          "[ops][class_attention]") {
  double worst = 0;
  for (const int B : {1, 2, 3})
    for (const int N : {0, 1, 2, 9, 33})
      for (const int P : {1, 4, 17}) {
        const auto [q, k0, v0, k, v] = inputs<float>(B == 2 ? 1 : B, B, N, 2 * P);
        worst = std::max(worst, disagreement(two_heads, q, k0, v0, k, v));
      }
  CHECK(worst < 1e-5);
}

TEST_CASE("class_attention survives scores far beyond the range of exp", "[ops][class_attention]") {
  auto [q, k0, v0, k, v] = inputs<float>(2, 2, 6, 8);
  for (float& x : q.values()) x *= 1e4f;
  CHECK(disagreement(two_heads, q, k0, v0, k, v) < 1e-4);
  const auto y = sp::class_attention(q, k0, v0, k, v, 2);
  for (const float made : y.values()) CHECK(std::isfinite(made));
}

TEST_CASE("class_attention has the same bits for any number of threads",
          "[ops][class_attention][parallel]") {
  for (const int queries : {1, 5}) {
    const auto [q, k0, v0, k, v] = inputs<float>(queries, 5, 40, 24);
    CHECK(same_bits(two_heads, q, k0, v0, k, v));
  }
}

TEST_CASE("class_attention refuses a number of queries that is neither 1 nor that of the images",
          "[ops][class_attention]") {
  const auto [q, k0, v0, k, v] = inputs<float>(2, 3, 4, 8);
  CHECK_THROWS_WITH(sp::class_attention(q, k0, v0, k, v, 2), contains("q is (B, W) or (1, W)"));
}
