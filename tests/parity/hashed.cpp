#include "../../examples/parity_hashed.hpp"
#include "testing.hpp"

TEST_CASE("hashed gives the documented numbers", "[parity][hashed]") {
  const auto at = [](const char* name, std::uint64_t seed) {
    std::vector<int> whole;
    const auto numbers = parity::hashed(name, seed, 4);
    for (const float u : numbers) whole.push_back(int(u * 0x1p23f));
    return whole;
  };
  CHECK(at("x", 0) == std::vector{-2375443, 7138075, -1559525, -7276913});
  CHECK(at("x", 1) == std::vector{7415500, 5324290, -777965, 4279138});
  CHECK(at("backbone.pos_embed", 2) == std::vector{-208646, 8219783, -3617644, -4370649});
}

TEST_CASE("hashed numbers lie in [-1, 1), on a grid that float holds exactly", "[parity][hashed]") {
  const auto numbers = parity::hashed("range", 3, 10000);
  for (const float u : numbers) {
    if (!(u >= -1 && u < 1)) FAIL(u);
    if (std::floor(u * 0x1p23f) != u * 0x1p23f) FAIL(u);
  }
  SUCCEED();
}
