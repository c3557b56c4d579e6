#include <selfpatch/io/hash.hpp>

#include "testing.hpp"

#include <vector>

namespace sp = selfpatch;

TEST_CASE("xxh64 gives the published values for short texts", "[io][hash]") {
  CHECK(sp::xxh64("") == 0xEF46DB3751D8E999u);
  CHECK(sp::xxh64("a") == 0xD24EC4F1A98C6E5Bu);
  CHECK(sp::xxh64("abc") == 0x44BC2CF5AD770999u);
  CHECK(sp::xxh64("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1u);
}

TEST_CASE("xxh64 gives the values of its reference program for generated buffers", "[io][hash]") {
  // The buffer and the seed of the reference implementation's own sanity check.
  std::vector<std::byte> buffer(101);
  std::uint32_t state = 2654435761u;
  for (auto& b : buffer) {
    b = std::byte(state >> 24);
    state *= state;
  }
  const std::span<const std::byte> all(buffer);
  CHECK(sp::xxh64(all.first(1)) == 0x4FCE394CC88952D8u);
  CHECK(sp::xxh64(all.first(1), 2654435761u) == 0x739840CB819FA723u);
  CHECK(sp::xxh64(all.first(14)) == 0xCFFA8DB881BC3A3Du);
  CHECK(sp::xxh64(all.first(14), 2654435761u) == 0x5B9611585EFCC9CBu);
  CHECK(sp::xxh64(all) == 0x0EAB543384F878ADu);
  CHECK(sp::xxh64(all, 2654435761u) == 0xCAA65939306F1E21u);
}

TEST_CASE("xxh64 depends on every bit of every length around its block", "[io][hash]") {
  for (std::size_t n = 1; n <= 72; ++n) {
    std::vector<std::byte> bytes(n, std::byte(0x5A));
    const auto hash = sp::xxh64(bytes);
    for (std::size_t bit = 0; bit < 8 * n; ++bit) {
      bytes[bit / 8] ^= std::byte(1 << bit % 8);
      REQUIRE(sp::xxh64(bytes) != hash);
      bytes[bit / 8] ^= std::byte(1 << bit % 8);
    }
  }
}

TEST_CASE("hex writes all sixteen digits", "[io][hash]") {
  CHECK(sp::hex(0) == "0000000000000000");
  CHECK(sp::hex(0x0123456789ABCDEFu) == "0123456789abcdef");
}
