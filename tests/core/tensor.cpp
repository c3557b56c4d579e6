#include <selfpatch/core/tensor.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

using matrix = sp::tensor<float, sp::shape<sp::dyn, 3>>;

TEST_CASE("tensor begins as zeros, aligned to a cache line", "[core][tensor]") {
  const matrix x(sp::shape<sp::dyn, 3>(5));
  CHECK(x.size() == 15);
  CHECK(x.bytes() == 60);
  for (const float v : x.values()) CHECK(v == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);
}

TEST_CASE("tensor of no elements has no memory and can be cloned, moved and assigned",
          "[core][tensor]") {
  matrix x;
  CHECK(x.empty());
  CHECK(x.data() == nullptr);
  auto y = x.clone();
  x = std::move(y);
  CHECK(x.empty());
}

TEST_CASE("tensor moves its numbers and copies them only by clone", "[core][tensor]") {
  static_assert(!std::is_copy_constructible_v<matrix> && !std::is_copy_assignable_v<matrix>);
  static_assert(std::is_nothrow_move_constructible_v<matrix> &&
                std::is_nothrow_move_assignable_v<matrix>);
  auto x = random_tensor<float>(sp::shape<sp::dyn, 3>(5));
  const float* at = x.data();
  const auto copy = x.clone();
  CHECK(copy.data() != at);
  CHECK(largest_difference(copy, x) == 0);

  matrix y = std::move(x);
  CHECK(y.data() == at);
  CHECK(x.empty());
  matrix z(sp::shape<sp::dyn, 3>(2));
  z = std::move(y);
  CHECK(z.data() == at);
  CHECK(z.extent(0) == 5);
}

TEST_CASE("tensor of a static shape that was moved from has no numbers to show", "[core][tensor]") {
  sp::tensor<float, sp::shape<4>> x;
  const auto y = std::move(x);
  CHECK(y.values().size() == 4);
  CHECK(x.data() == nullptr);
}

TEST_CASE("rows sees the last axis, whatever stands before it", "[core][tensor]") {
  auto x = random_tensor<double>(sp::shape<2, sp::dyn, 4>(3));
  const auto r = rows(x);
  CHECK(r.rows == 6);
  CHECK(r.cols == 4);
  CHECK(r.row(5) + 4 == x.data() + 24);
  CHECK(r.slice(2, 3).row(1) == r.row(3));
  CHECK(rows(static_cast<decltype(x)*>(nullptr)).data == nullptr);
}

TEST_CASE("a matrix_view of numbers becomes one of constants", "[core][tensor]") {
  static_assert(std::is_convertible_v<sp::matrix_view<float>, sp::matrix_view<const float>>);
  static_assert(!std::is_convertible_v<sp::matrix_view<const float>, sp::matrix_view<float>>);
  static_assert(std::is_trivially_copyable_v<sp::matrix_view<float>>);
  SUCCEED();
}

TEST_CASE("beside makes a tensor of another type on the same context", "[core][tensor]") {
  sp::context<sp::cpu> on(1);
  const matrix x(sp::shape<sp::dyn, 3>(5), &on);
  const auto y = sp::beside<double>(x, sp::shape<7>());
  static_assert(std::is_same_v<decltype(y), const sp::tensor<double, sp::shape<7>>>);
  CHECK(y.on() == &on);
}
