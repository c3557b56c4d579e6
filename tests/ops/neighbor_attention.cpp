#include <selfpatch/ops/neighbor_attention.hpp>

#include "ops_testing.hpp"

namespace {

using matrix = sp::shape<sp::dyn, sp::dyn>;
using tokens = sp::shape<sp::dyn, sp::dyn, sp::dyn>;
using choice = sp::tensor<std::int32_t, tokens>;

/// B images of N patches with up to K neighbors each, some slots empty, some patches without any.
choice random_choice(sp::index B, sp::index N, sp::index K) {
  choice c(tokens(B, N, K));
  sp::random draw(3, sp::purpose::test);
  for (sp::index i = 0; i < B * N; ++i) {
    const sp::index filled = i % 5 == 4 ? 0 : sp::index(draw.below(std::uint64_t(K + 1)));
    for (sp::index s = 0; s < K; ++s)
      c.data()[i * K + s] = s < filled ? std::int32_t(draw.below(std::uint64_t(N))) : -1;
  }
  return c;
}

auto with(const choice& c) {
  return [&c](const auto& q, const auto& k0, const auto& v0, const auto& k, const auto& v) {
    using D = sp::device_of<decltype(k)>;
    static thread_local sp::tensor<std::int32_t, tokens, D>
        there;  // must outlive the backward pass
    there = on_device<D>(c);
    return sp::neighbor_attention(q, k0, v0, k, v, there, 2);
  };
}

template <class T>
auto inputs(sp::index queries, sp::index B, sp::index N, sp::index W) {
  return std::tuple(random_tensor<T>(matrix(queries, W), 1),
                    random_tensor<T>(matrix(queries, W), 2),
                    random_tensor<T>(matrix(queries, W), 3), random_tensor<T>(tokens(B, N, W), 4),
                    random_tensor<T>(tokens(B, N, W), 5));
}

}  // namespace

TEST_CASE("neighbor_attention is class_attention over gathered keys and values",
          "[ops][neighbor_attention]") {
  const sp::index B = 2, N = 6, K = 3, W = 8;
  const auto c = random_choice(B, N, K);
  const auto [q, k0, v0, k, v] = inputs<double>(B * N, B, N, W);
  const auto y = sp::neighbor_attention(q, k0, v0, k, v, c, 2);

  const auto row = [](const auto& x, sp::index r) {
    sp::tensor<double, matrix> one(matrix(1, x.extent(1)));
    std::copy_n(rows(x).row(r), x.extent(1), one.data());
    return one;
  };
  for (sp::index i = 0; i < B * N; ++i) {
    sp::index count = 0;
    while (count < K && c.data()[i * K + count] >= 0) ++count;
    sp::tensor<double, tokens> keys(tokens(1, count, W)), values(tokens(1, count, W));
    for (sp::index s = 0; s < count; ++s) {
      const sp::index token = i / N * N + c.data()[i * K + s];
      std::copy_n(rows(k).row(token), W, rows(keys).row(s));
      std::copy_n(rows(v).row(token), W, rows(values).row(s));
    }
    CHECK(largest_difference(
              sp::class_attention(row(q, i), row(k0, i), row(v0, i), keys, values, 2), row(y, i)) <
          1e-14);
  }
}

TEMPLATE_TEST_CASE("neighbor_attention's backward is the derivative of its forward",
                   "[ops][neighbor_attention][grad]", sp::reference, sp::cpu) {
  const auto c = random_choice(2, 4, 3);
  for (const int queries : {1, 8}) {
    const auto [q, k0, v0, k, v] = inputs<double>(queries, 2, 4, 6);
    CHECK(sp::gradcheck(with(c), on_device<TestType>(q), on_device<TestType>(k0),
                        on_device<TestType>(v0), on_device<TestType>(k),
                        on_device<TestType>(v)) < 1e-7);
  }
}

TEST_CASE("neighbor_attention's cpu kernel agrees with the reference at all small sizes",
          "[ops][neighbor_attention]") {
  double worst = 0;
  for (const int B : {1, 3})
    for (const int N : {1, 2, 7})
      for (const int K : {1, 2, 4, 8})
        for (const int P : {1, 5, 16, 35}) {
          const auto c = random_choice(B, N, K);
          const auto [q, k0, v0, k, v] = inputs<float>(K == 2 ? 1 : B * N, B, N, 2 * P);
          worst = std::max(worst, disagreement(with(c), q, k0, v0, k, v));
        }
  CHECK(worst < 1e-5);
}

TEST_CASE("neighbor_attention has the same bits for any number of threads",
          "[ops][neighbor_attention][parallel]") {
  const auto c = random_choice(5, 30, 4);
  for (const int queries : {1, 150}) {
    const auto [q, k0, v0, k, v] = inputs<float>(queries, 5, 30, 16);
    CHECK(same_bits(with(c), q, k0, v0, k, v));
  }
}

TEST_CASE("neighbor_attention refuses an index of other patches", "[ops][neighbor_attention]") {
  const auto [q, k0, v0, k, v] = inputs<float>(8, 2, 4, 8);
  CHECK_THROWS_WITH(sp::neighbor_attention(q, k0, v0, k, v, random_choice(2, 5, 3), 2),
                    contains("index is (B, N, K)"));
}
