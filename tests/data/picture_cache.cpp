#include <selfpatch/data/picture_cache.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

TEST_CASE("pictures are kept until the budget is used up", "[data][picture_cache]") {
  sp::picture_cache cache(4, 100);
  const auto picture = [](int side) { return std::make_shared<const sp::image>(side, side, 1); };
  cache.keep(0, picture(8));  // 64 bytes
  cache.keep(1, picture(7));  // 49: too many
  cache.keep(2, picture(6));  // 36: just fits
  CHECK(cache.find(0)->width == 8);
  CHECK_FALSE(cache.find(1));
  CHECK(cache.find(2)->width == 6);
  CHECK(cache.bytes() == 100);
  cache.keep(0, picture(1));  // already there
  CHECK(cache.find(0)->width == 8);
}

TEST_CASE("a cache without a budget keeps nothing", "[data][picture_cache]") {
  sp::picture_cache cache(1000000, 0);
  cache.keep(3, std::make_shared<const sp::image>(1, 1, 1));
  CHECK_FALSE(cache.find(3));
}
