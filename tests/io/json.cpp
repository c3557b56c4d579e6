#include <selfpatch/io/json.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

sp::json_scanner scan(std::string_view text) { return {text, "cannot read x", "header"}; }

std::string text_of(std::string_view json) {
  auto in = scan(json);
  std::string s = in.string();
  in.end();
  return s;
}

void skip_all(std::string_view json) {
  auto in = scan(json);
  in.skip();
  in.end();
}

std::string quote(std::string_view text) {
  std::string q;
  sp::append_quoted(q, text);
  return q;
}

}  // namespace

TEST_CASE("strings decode every escape", "[io][json]") {
  CHECK(text_of(R"("a\"b\\c\/d\b\f\n\r\t")") == "a\"b\\c/d\b\f\n\r\t");
  CHECK(text_of(R"("\u0041\u00e4\u20AC\ud83d\ude00\u0000")") ==
        std::string("A\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\0", 11));
  CHECK(text_of("\"\xC3\xA4\x7F\"") == "\xC3\xA4\x7F");
}

TEST_CASE("strings that are not JSON are refused", "[io][json]") {
  for (const std::string_view bad : {R"("a)",
                                     R"("\)",
                                     R"("\x41")",
                                     R"("\u12")",
                                     R"("\u12g4")",
                                     R"("\u+123")",
                                     R"("\ud800")",
                                     R"("\ud800\n")",
                                     R"("\ud800\u0041")",
                                     R"("\udc00")",
                                     "\"\n\"",
                                     "\"\x1F\"",
                                     "\"\xC3\"",
                                     "\"\xC0\x80\"",
                                     "\"\xED\xA0\x80\"",
                                     "\"\xF4\x90\x80\x80\"",
                                     "\"\xFF\"",
                                     "\"\xE0\x80\x80\"",
                                     "\"\xF0\x80\x80\x80\"",
                                     "'a'",
                                     "a",
                                     "",
                                     "\"a\"b"})
    CHECK_THROWS_AS(text_of(bad), sp::error);
}

TEST_CASE("what is quoted reads back as it was, and bytes that are no text as U+FFFD",
          "[io][json]") {
  std::string all;
  for (int c = 0; c < 128; ++c) all.push_back(char(c));
  all += "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80";
  CHECK(text_of(quote(all)) == all);
  CHECK(text_of(quote("a\xFF"
                      "b\xC3")) ==
        "a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD");
  CHECK(quote(all).find('\n') == std::string::npos);
}

TEST_CASE("integers are digits without sign, fraction or leading zero", "[io][json]") {
  CHECK(scan("0").integer() == 0);
  CHECK(scan(" 42]").integer() == 42);
  CHECK(scan("9223372036854775807").integer() == INT64_MAX);
  for (const std::string_view bad :
       {"", "-1", "+1", "01", "00", "9223372036854775808", "99999999999999999999999", "x"})
    CHECK_THROWS_AS(scan(bad).integer(), sp::error);
}

TEST_CASE("numbers follow the grammar of JSON", "[io][json]") {
  CHECK(scan("-0.5e-3").number() == -0.5e-3);
  CHECK(scan("1E+2").number() == 100);
  CHECK(std::isnan(scan("null").number()));
  for (const std::string_view bad :
       {"", "-", ".5", "1.", "1e", "1e+", "+1", "NaN", "inf", "nul", "1e999", "0x1"}) {
    CHECK_THROWS_AS(
        [&] {
          auto in = scan(bad);
          in.number();
          in.end();
        }(),
        sp::error);
  }
}

TEST_CASE("every double that is finite reads back as itself", "[io][json]") {
  sp::random draws(1, sp::purpose::test);
  for (int i = 0; i < 2000; ++i) {
    const double x = std::bit_cast<double>(draws());
    std::string text;
    sp::append_number(text, x);
    const double y = scan(text).number();
    if (std::isfinite(x))
      REQUIRE(std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y));
    else
      REQUIRE(text == "null");
  }
}

TEST_CASE("any value can be passed over, and what is none is refused", "[io][json]") {
  for (const std::string_view good :
       {R"({"a":[1,-2.5e3,{"b":null}],"c":true,"d":"\u0041"} )", "[]", "{}", "false", " 0 "})
    CHECK_NOTHROW(skip_all(good));
  for (const std::string_view bad :
       {"", "{", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{,}", "{\"a\":1,}", "tru", "nulll",
        "[1]]", "{'a':1}", "{a:1}", "01", "[1}", R"({"a":1 "b":2})"})
    CHECK_THROWS_AS(skip_all(bad), sp::error);
}

TEST_CASE("a key that comes twice is refused by name", "[io][json]") {
  CHECK_THROWS_WITH(skip_all(R"({"a":1,"b":2,"\u0061":3})"),
                    contains("each key once") && contains("\"a\" again"));
}

TEST_CASE("nesting is bounded", "[io][json]") {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK_NOTHROW(skip_all(nested(sp::json_scanner::most_nested)));
  CHECK_THROWS_WITH(skip_all(nested(sp::json_scanner::most_nested + 1)),
                    contains("at most 64 levels"));
  CHECK_THROWS_AS(skip_all(std::string(1'000'000, '[')), sp::error);
}

TEST_CASE("a message says what, where, expected and found on one line", "[io][json]") {
  CHECK_THROWS_WITH(skip_all("{\"a\"\n=1}"),
                    "cannot read x: header, byte 5; expected ':', found '='");
  CHECK_THROWS_WITH(skip_all("[1"),
                    "cannot read x: header, byte 2; expected ',' or ']', found the end");
  CHECK_THROWS_WITH(skip_all("[\x01"), contains("found byte 1"));
}
