#include <selfpatch/io/dtype.hpp>

#include "testing.hpp"

#include <vector>

namespace sp = selfpatch;

namespace {

template <class From, class To>
std::vector<To> read_back(const std::vector<From>& values) {
  std::vector<To> out(values.size());
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  REQUIRE(sp::read_values(sp::dtype_of<From>, bytes, std::span<To>(out)));
  return out;
}

}  // namespace

TEST_CASE("every stored type is found by its own name and no other", "[io][dtype]") {
  for (int i = 0; i < 10; ++i) CHECK(sp::dtype_named(sp::name_of(sp::dtype(i))) == sp::dtype(i));
  for (const char* name : {"", "f32", "F3", "F32 ", "F8_E4M3", "U16", "U64"})
    CHECK_FALSE(sp::dtype_named(name));
}

TEST_CASE("half precision reads as the float of the same value, for all 65536 patterns",
          "[io][dtype]") {
  for (int bits = 0; bits < 65536; ++bits) {
    const float value = float(sp::stored_f16{std::uint16_t(bits)});
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31) {
      REQUIRE((fraction ? std::isnan(value) : std::isinf(value) && value * sign > 0));
      continue;
    }
    const double expected =
        sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
    REQUIRE(double(value) == expected);
    REQUIRE(std::signbit(value) == (bits >> 15 == 1));
  }
}

TEST_CASE("reals convert to reals and round only where the target is narrower", "[io][dtype]") {
  CHECK(read_back<float, double>({1.5f, -0.1f}) == std::vector<double>{1.5, double(-0.1f)});
  CHECK(read_back<double, float>({0.1, 1e-30}) == std::vector<float>{0.1f, 1e-30f});
  CHECK(read_back<sp::bf16, float>({sp::bf16(3.0f)}) == std::vector<float>{3});
  CHECK(read_back<sp::bf16, double>({sp::bf16(-2.5f)}) == std::vector<double>{-2.5});
  CHECK(read_back<sp::stored_f16, double>({sp::stored_f16{0x3555}})[0] ==
        Approx(1 / 3.0).epsilon(1e-3));
  CHECK(read_back<float, sp::bf16>({1.0f})[0].bits == 0x3f80);
}

TEST_CASE("integers convert to integers that hold each of their values", "[io][dtype]") {
  CHECK(read_back<std::int32_t, std::int64_t>({-7, 2147483647}) ==
        std::vector<std::int64_t>{-7, 2147483647});
  CHECK(read_back<std::uint8_t, int>({0, 255}) == std::vector<int>{0, 255});
  CHECK(read_back<std::int8_t, std::int16_t>({-128}) == std::vector<std::int16_t>{-128});
}

TEST_CASE("types that would lose values do not convert", "[io][dtype]") {
  const std::byte bytes[8]{};
  std::int32_t narrow[1];
  std::uint8_t byte[1];
  float real[1];
  CHECK_FALSE(sp::read_values(sp::dtype::i64, bytes, std::span(narrow)));
  CHECK_FALSE(sp::read_values(sp::dtype::f32, bytes, std::span(narrow)));
  CHECK_FALSE(sp::read_values(sp::dtype::i8, bytes, std::span(byte)));
  CHECK_FALSE(sp::read_values(sp::dtype::i32, bytes, std::span(real)));
  CHECK_FALSE(sp::read_values(sp::dtype::boolean, bytes, std::span(real)));
  CHECK(sp::read_values(sp::dtype::boolean, bytes, std::span(byte)));
}

TEST_CASE("values are read from any address", "[io][dtype]") {
  alignas(8) std::byte bytes[9]{};
  const double x = 0.1;
  std::memcpy(bytes + 1, &x, sizeof x);
  double y[1]{};
  CHECK(sp::read_values(sp::dtype::f64, bytes + 1, std::span(y)));
  CHECK(y[0] == 0.1);
}
