#include <selfpatch/core/dtype.hpp>

#include "testing.hpp"

#include <type_traits>

namespace sp = selfpatch;

namespace {

float back(float x) { return float(sp::bf16(x)); }

}  // namespace

TEST_CASE("bf16 is the upper half of a float, and every one comes back from float as it was",
          "[core][dtype]") {
  int changed = 0;
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    sp::bf16 x;
    x.bits = std::uint16_t(bits);
    const float f = float(x);
    if (f == f) changed += sp::bf16(f).bits != x.bits;
  }
  CHECK(changed == 0);
}

TEST_CASE("bf16 rounds to the nearest, halves to even", "[core][dtype]") {
  CHECK(back(1.0f) == 1.0f);
  CHECK(back(1.0f + 0x1p-8f) == 1.0f);  // half way to 1 + 2^-7: down to even
  CHECK(back(1.0f + 0x1p-8f + 0x1p-20f) == 1.0f + 0x1p-7f);
  CHECK(back(1.0f + 3 * 0x1p-8f) == 1.0f + 0x1p-6f);  // half way: up to even
  CHECK(back(-1.0f - 3 * 0x1p-8f) == -1.0f - 0x1p-6f);
}

TEST_CASE("bf16 overflows to infinity and keeps NaN a NaN", "[core][dtype]") {
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(back(inf) == inf);
  CHECK(back(-inf) == -inf);
  CHECK(back(std::numeric_limits<float>::max()) == inf);
  CHECK(std::isnan(back(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(
      back(std::bit_cast<float>(0x7f800001u))));  // a NaN whose upper half alone is infinity
}

TEST_CASE("sums of double are made in double, of everything else in float", "[core][dtype]") {
  static_assert(std::is_same_v<sp::sum_of<double>, double>);
  static_assert(std::is_same_v<sp::sum_of<float>, float>);
  static_assert(std::is_same_v<sp::sum_of<sp::bf16>, float>);
  SUCCEED();
}
