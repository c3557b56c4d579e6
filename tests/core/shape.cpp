#include <selfpatch/core/shape.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("shape stores its dynamic extents alone", "[core][shape]") {
  static_assert(sizeof(sp::shape<3, 4>) == 1);  // nothing
  static_assert(sizeof(sp::shape<sp::dyn, 196, 384>) == sizeof(sp::index));
  static_assert(sp::shape<3, 4>::is_static && !sp::shape<3, sp::dyn>::is_static);
  static_assert(sp::last<sp::shape<3, 4>> == 4 && sp::last<sp::shape<4, sp::dyn>> == sp::dyn);
  const sp::shape<sp::dyn, 196, sp::dyn> s(8, 3);
  CHECK(s[0] == 8);
  CHECK(s[1] == 196);
  CHECK(s[2] == 3);
  CHECK(s.size() == 8 * 196 * 3);
}

TEST_CASE("shape of rank 0 has one element", "[core][shape]") {
  CHECK(sp::shape<>().size() == 1);
  CHECK(sp::shape<>::rank == 0);
}

TEST_CASE("shape counts zero elements where an extent is zero or not yet set", "[core][shape]") {
  CHECK(sp::shape<sp::dyn, 5>().size() == 0);
  CHECK(sp::shape<0, 5>().size() == 0);
}

TEST_CASE("shape::from takes all extents and refuses what contradicts the type", "[core][shape]") {
  using s = sp::shape<sp::dyn, 196>;
  CHECK(s::from({4, 196}) == s(4));
  CHECK_THROWS_WITH(s::from({4, 195}),
                    contains("extent 1 is fixed by the type; expected 196, found 195"));
}

TEST_CASE("shape refuses a negative extent", "[core][shape]") {
  CHECK_THROWS_AS((sp::shape<sp::dyn>(-1)), sp::error);
  CHECK_THROWS_AS((sp::shape<sp::dyn, 3>::from({-1, 3})), sp::error);
}

TEST_CASE("shape is compatible where extents are equal or one is dynamic", "[core][shape]") {
  static_assert(sp::same_width<3, 3> && sp::same_width<3, sp::dyn> && sp::same_width<sp::dyn, 3>);
  static_assert(!sp::same_width<3, 4>);
  CHECK(sp::shape<sp::dyn>(3) == sp::shape<sp::dyn>(3));
  CHECK_FALSE(sp::shape<sp::dyn>(3) == sp::shape<sp::dyn>(4));
}

TEST_CASE("shape is written with crosses between its extents", "[core][shape]") {
  CHECK(to_string(sp::shape<sp::dyn, 196, 384>(8)) == "8 x 196 x 384");
  CHECK(to_string(sp::shape<7>()) == "7");
}
