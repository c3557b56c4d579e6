#include <selfpatch/core/error.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("an error is one sentence of its parts, without those that are empty", "[core][error]") {
  const sp::error all(sp::problem{.what = "cannot read images/0412.png",
                                  .where = "header",
                                  .expected = "at most 64 M pixels",
                                  .found = "30000 x 30000",
                                  .hint = "raise --max-pixels"});
  CHECK(std::string(all.what()) ==
        "cannot read images/0412.png: header; expected at most 64 M pixels, found 30000 x 30000; "
        "raise --max-pixels");
  CHECK(std::string(sp::error("no more").what()) == "no more");
  CHECK(std::string(sp::error(sp::problem{.what = "k", .found = "9"}).what()) == "k, found 9");
}

TEST_CASE("an error keeps its parts, and a write_error is one", "[core][error]") {
  try {
    throw sp::write_error(sp::problem{.what = "cannot write", .where = "disk"});
  } catch (const sp::error& e) {
    CHECK(e.parts.where == "disk");
  }
}

TEST_CASE("expects throws its sentence where the condition does not hold", "[core][error]") {
  CHECK_NOTHROW(sp::expects(true, "never said"));
  CHECK_THROWS_WITH(sp::expects(false, "f(x): x is positive"), "f(x): x is positive");
}
