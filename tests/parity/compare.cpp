#include "../../examples/parity_compare.hpp"
#include "testing.hpp"

namespace {

const double inf = std::numeric_limits<double>::infinity();

parity::report compared(const std::vector<float>& found, const std::vector<double>& expected,
                        double tolerance) {
  parity::report to;
  parity::compare_values(to, "x", std::span<const float>(found), std::span<const double>(expected),
                         tolerance);
  return to;
}

}  // namespace

TEST_CASE("a comparison finds the element that is furthest off, and says where",
          "[parity][compare]") {
  const auto to = compared({1, 2, 3}, {1, 2.5, 3.25}, 1);
  CHECK(to.rows[0].error == 0.5);
  CHECK_THAT(to.rows[0].detail, contains("element 1 is 2, expected 2.5"));
  CHECK(to.worst() == 0.5);
}

TEST_CASE(
    "a comparison takes NaN and a missing value as infinitely wrong, equal infinities as equal",
    "[parity][compare]") {
  CHECK(compared({1, std::nanf("")}, {1, 2}, 1).worst() == inf);
  CHECK(compared({std::nanf("")}, {std::nan("")}, 1).worst() == inf);
  CHECK(compared({1}, {1, 2}, 1).worst() == inf);
  CHECK(compared({1, 2}, {1}, 1).worst() == inf);
  CHECK(compared({-std::numeric_limits<float>::infinity()}, {-inf}, 1).worst() == 0);
  CHECK(compared({1}, {inf}, 1).worst() == inf);
}

TEST_CASE("a comparison of nothing with nothing holds", "[parity][compare]") {
  CHECK(compared({}, {}, 0).worst() == 0);
}

TEST_CASE("a report fails for anything beyond its tolerance, and for a single differing byte",
          "[parity][compare]") {
  parity::report to;
  to.quantity("a", 1e-3, 1e-2);
  std::FILE* nowhere = std::fopen("/dev/null", "w");
  CHECK(to.print(nowhere) == 0);
  to.exact("bytes", 0, 100);
  CHECK(to.print(nowhere) == 0);
  to.quantity("b", 2e-2, 1e-2);
  CHECK(to.print(nowhere) == 1);
  parity::report bytes;
  bytes.exact("bytes", 1, 100);
  CHECK(bytes.print(nowhere) == 1);
  CHECK(bytes.worst() == inf);
  std::fclose(nowhere);
}

TEST_CASE("a stored tensor is refused where its shape is not the one asked for",
          "[parity][compare]") {
  const parity::safetensors_file file(fixture("features") / "dino.safetensors");
  CHECK_NOTHROW(parity::tensor_of<float, 1, selfpatch::dyn, 32>(file, "pos_embed"));
  CHECK_THROWS_WITH(
      (parity::tensor_of<float, 1, selfpatch::dyn, 64>(file, "pos_embed")),
      contains("tensor pos_embed; expected shape [1, -1, 64], -1 is any, found [1, 37, 32]"));
  CHECK_THROWS_WITH((parity::tensor_of<float, selfpatch::dyn, 32>(file, "pos_embed")),
                    contains("found [1, 37, 32]"));
}

TEST_CASE("rounding allows double 1e-12 of the largest value, float 2^-16", "[parity][compare]") {
  CHECK(parity::rounding_allowed<double>(2) == 2e-12 + 1e-14);
  CHECK(parity::rounding_allowed<float>(2) == 0x1p-15);
}
