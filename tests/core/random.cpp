#include <selfpatch/core/random.hpp>

#include "testing.hpp"

#include <array>
#include <set>

namespace sp = selfpatch;

TEST_CASE("mix is SplitMix64's finaliser", "[core][random]") {
  // the first outputs of the published generator for seed 0 and seed 1234567
  CHECK(sp::random::with_key(0)() == 0xE220A8397B1DCDAFu);
  auto draw = sp::random::with_key(1234567);
  CHECK(draw() == 6457827717110365317u);
  CHECK(draw() == 3203168211198807973u);
  CHECK(draw() == 9817491932198370423u);
}

TEST_CASE("the i-th number of a stream does not depend on what was drawn", "[core][random]") {
  sp::random draw(1, sp::purpose::crop, 2, 3);
  const sp::random fresh = draw;
  for (std::uint64_t i = 0; i < 10; ++i) CHECK(draw() == fresh.at(i));
}

TEST_CASE("streams differ in seed, purpose, and every key and its place", "[core][random]") {
  const std::set<std::uint64_t> first{
      sp::random(1, sp::purpose::crop, 2, 3)(),   sp::random(2, sp::purpose::crop, 2, 3)(),
      sp::random(1, sp::purpose::blur, 2, 3)(),   sp::random(1, sp::purpose::crop, 3, 2)(),
      sp::random(1, sp::purpose::crop, 2, 4)(),   sp::random(1, sp::purpose::crop, 2)(),
      sp::random(1, sp::purpose::crop, 2, 3, 0)()};
  CHECK(first.size() == 7);
}

TEST_CASE("the meaning of a seed stays what it was", "[core][random]") {
  // recorded once: another value here means that no run of before can be repeated
  sp::random draw(42, sp::purpose::init, 7);
  CHECK(draw() == 0x83F30F15BA52C80Fu);
}

TEST_CASE("uniform numbers lie in [0, 1) and fill it evenly", "[core][random]") {
  sp::random draw(0, sp::purpose::test);
  std::array<int, 10> count{};
  int outside = 0;
  for (int i = 0; i < 100000; ++i) {
    const double u = draw.uniform();
    outside += !(u >= 0 && u < 1);
    ++count[std::size_t(u * 10) % 10];
  }
  for (const int n : count) CHECK(std::abs(n - 10000) < 400);  // 4 deviations
  for (int i = 0; i < 1000; ++i) {
    const double u = draw.uniform(-3, -2);
    outside += !(u >= -3 && u < -2);
  }
  CHECK(outside == 0);
}

TEST_CASE("below gives every number below n about as often", "[core][random]") {
  sp::random draw(0, sp::purpose::test);
  std::array<int, 7> count{};
  for (int i = 0; i < 70000; ++i) ++count[draw.below(7)];
  for (const int n : count) CHECK(std::abs(n - 10000) < 400);
  CHECK(draw.below(1) == 0);
}

TEST_CASE("normal numbers have mean 0, deviation 1 and the right share within one deviation",
          "[core][random]") {
  sp::random draw(0, sp::purpose::test);
  double sum = 0, squares = 0;
  int within = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = draw.normal();
    sum += x;
    squares += x * x;
    within += std::abs(x) < 1;
  }
  CHECK(std::abs(sum / 100000) < 0.015);
  CHECK(squares / 100000 == Approx(1).epsilon(0.02));
  CHECK(within / 100000.0 == Approx(0.6827).epsilon(0.01));
}
