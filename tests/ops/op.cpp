#include <selfpatch/ops/op.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("with_last replaces the last extent, static or dynamic", "[ops][op]") {
  const sp::shape<sp::dyn, 196, 384> s(8);
  const auto dynamic = sp::with_last<sp::dyn>(s, 10);
  static_assert(std::is_same_v<decltype(dynamic), const sp::shape<sp::dyn, 196, sp::dyn>>);
  CHECK(dynamic.extents() == std::array<sp::index, 3>{8, 196, 10});
  const auto known = sp::with_last<7>(dynamic, 7);
  static_assert(std::is_same_v<decltype(known), const sp::shape<sp::dyn, 196, 7>>);
  CHECK(known.size() == 8 * 196 * 7);
  CHECK_THROWS_AS(sp::with_last<7>(dynamic, 8), sp::error);
}

TEST_CASE("same_extent says both numbers when they differ", "[ops][op]") {
  CHECK_NOTHROW(sp::same_extent(3, 3, "f(x)"));
  CHECK_THROWS_WITH(sp::same_extent(3, 4, "f(x): widths agree"),
                    "f(x): widths agree; expected 3, found 4");
}
