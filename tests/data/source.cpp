#include <selfpatch/data/source.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

/// What a user needs to write: three functions.
struct squares {
  sp::index size() const { return 3; }
  std::string name(sp::index i) const { return "square " + std::to_string(i); }
  sp::image picture(sp::index i) const { return {int(i) + 1, int(i) + 1, 3}; }
};

}  // namespace

TEST_CASE("a type with size, name and picture is a source", "[data][source]") {
  static_assert(sp::picture_source<squares>);
  const sp::source s = squares{};
  CHECK(s.size() == 3);
  CHECK(s.name(2) == "square 2");
  CHECK(s.picture(2).width == 3);
  CHECK(s.label(0) == sp::no_label);
  CHECK(s.bytes(0).empty());
  CHECK(s.warnings().empty());
  const sp::source same = s;  // a handle: the same pictures
  CHECK(same.picture(1) == s.picture(1));
}

TEST_CASE("the parts of a mixture keep their order and may be empty", "[data][source]") {
  const sp::source s = sp::mixed_source({squares{}, sp::scene_source{}, squares{}});
  REQUIRE(s.size() == 6);
  CHECK(s.name(2) == "square 2");
  CHECK(s.name(3) == "square 0");
}
