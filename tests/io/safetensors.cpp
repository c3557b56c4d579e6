#include <selfpatch/io/safetensors.hpp>

#include "testing.hpp"

#include <sys/stat.h>

#include <array>
#include <numeric>

namespace sp = selfpatch;

namespace {

/// The bytes of a file with this header.
std::string file_with(std::string_view header, std::string_view data) {
  const std::uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  return bytes.append(header).append(data);
}

sp::safetensors_file parse(std::string_view bytes, sp::strictness how = sp::strictness::strict) {
  return sp::safetensors_file(std::as_bytes(std::span(bytes)), "x.safetensors", how);
}

/// What the reader says of a header over `data` bytes; empty if it accepts it.
std::string refusal(std::string_view header, std::size_t data = 0) {
  try {
    const std::string bytes = file_with(header, std::string(data, '\0'));
    parse(bytes);
    return {};
  } catch (const sp::error& e) {
    return e.what();
  }
}

const std::string two = R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                        R"("b":{"dtype":"U8","shape":[1,2],"data_offsets":[3,5]}})";

}  // namespace

TEMPLATE_TEST_CASE("tensors of every type and rank are read as they were written",
                   "[io][safetensors]", double, float, sp::stored_f16, sp::bf16, std::int64_t,
                   std::int32_t, std::int16_t, std::int8_t, std::uint8_t) {
  const temporary_folder scratch;
  std::vector<TestType> values(6);
  std::vector<std::byte> pattern(sizeof(TestType) * 6);
  for (std::size_t i = 0; i < pattern.size(); ++i) pattern[i] = std::byte(0x31 + 5 * i);
  std::memcpy(values.data(), pattern.data(), pattern.size());
  const std::span<const TestType> all(values);

  sp::write_safetensors(scratch / "x", {sp::view_of("cube", all, {1, 2, 3}),
                                        sp::view_of("none", all.first(0), {4, 0}),
                                        sp::view_of("one", all.first(1), {})});
  const sp::safetensors_file file(scratch / "x");

  CHECK(file.names() == std::vector<std::string_view>{"cube", "none", "one"});
  CHECK(file.at("cube").shape == std::vector<sp::index>{1, 2, 3});
  CHECK(file.at("none").shape == std::vector<sp::index>{4, 0});
  CHECK(file.at("one").shape.empty());
  CHECK(file.at("one").size() == 1);
  CHECK(file.at("cube").dtype == sp::dtype_of<TestType>);
  std::vector<TestType> back(6);
  file.read_into(file.at("cube"), std::span(back));
  CHECK(std::memcmp(back.data(), pattern.data(), pattern.size()) == 0);
}

TEST_CASE("booleans are read as bytes", "[io][safetensors]") {
  const std::string bytes = file_with(R"({"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})",
                                      std::string_view("\1\0", 2));
  const auto file = parse(bytes);
  std::array<std::uint8_t, 2> mask{};
  file.read_into(file.at("m"), std::span(mask));
  CHECK(mask == std::array<std::uint8_t, 2>{1, 0});
}

TEST_CASE("tensors of the library go in and out by name and shape", "[io][safetensors]") {
  const temporary_folder scratch;
  const auto x = random_tensor<float>(sp::shape<sp::dyn, 3>(4), 1);
  sp::write_safetensors(scratch / "x", {sp::view_of("x", x)});
  const sp::safetensors_file file(scratch / "x");

  sp::tensor<float, sp::shape<4, 3>> same;
  file.read("x", same);
  CHECK(largest_difference(x, same) == 0);
  sp::tensor<double, sp::shape<4, 3>> wide;
  file.read("x", wide);
  CHECK(largest_difference(x, wide) == 0);

  sp::tensor<float, sp::shape<3, 4>> turned;
  CHECK_THROWS_WITH(file.read("x", turned),
                    contains("tensor x; expected shape [3, 4], found [4, 3]"));
  CHECK_THROWS_WITH(file.read("y", same),
                    contains("tensor y; expected it among 1 tensors, found none of this name"));
  sp::tensor<std::int32_t, sp::shape<4, 3>> whole;
  CHECK_THROWS_WITH(file.read("x", whole),
                    contains("tensor x; expected what converts to I32, found F32"));
  std::vector<float> few(11);
  CHECK_THROWS_WITH(file.read_into(file.at("x"), std::span(few)),
                    contains("expected 11 values, found 12"));
}

TEST_CASE("metadata of any text reads back", "[io][safetensors]") {
  const temporary_folder scratch;
  const sp::string_map metadata{
      {"", "empty key"}, {"a\"b\\", "line\nbreak \xE2\x82\xAC"}, {"z", ""}};
  sp::write_safetensors(scratch / "x", {}, metadata);
  CHECK(sp::safetensors_file(scratch / "x").metadata() == metadata);
}

TEST_CASE("equal tensors give equal bytes, with the data on a multiple of eight",
          "[io][safetensors]") {
  const temporary_folder scratch;
  const std::array<std::int32_t, 2> values{1, -1};
  for (const std::string name : {"a", "ab", "abc", "abcdefgh"}) {
    const sp::named_view view = sp::view_of(name, std::span(values), {2});
    sp::write_safetensors(scratch / "x", {view}, {{"k", "v"}});
    sp::write_safetensors(scratch / "y", {view}, {{"k", "v"}});
    const std::string bytes = file_bytes(scratch / "x");
    CHECK(bytes == file_bytes(scratch / "y"));
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    CHECK(length % 8 == 0);
    CHECK(bytes.size() == 8 + length + 8);
  }
  CHECK(file_bytes(scratch / "x").substr(8, 49) ==
        R"({"__metadata__":{"k":"v"},"abcdefgh":{"dtype":"I3)");
}

TEST_CASE("data may lie in another order than the header names it", "[io][safetensors]") {
  const std::string bytes = file_with(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)"
                                      R"("a":{"data_offsets":[0,2],"shape":[2],"dtype":"U8"}}   )",
                                      "xyz");
  const auto file = parse(bytes);
  CHECK(file.names() == std::vector<std::string_view>{"b", "a"});
  CHECK(char(file.at("b").bytes[0]) == 'z');
  CHECK(char(file.at("a").bytes[1]) == 'y');
}

TEST_CASE("a file without tensors is a file", "[io][safetensors]") {
  CHECK(refusal("{}").empty());
  CHECK(refusal(R"({"__metadata__":{}})").empty());
}

TEST_CASE("what is wrong with a header is said in one line", "[io][safetensors]") {
  const auto one = [](const std::string& entry) { return R"({"a":{)" + entry + "}}"; };
  CHECK(refusal("") ==
        "cannot read x.safetensors: header; expected '{' as its first byte, found something else");
  CHECK(refusal(" {}") ==
        "cannot read x.safetensors: header; expected '{' as its first byte, found something else");
  CHECK(refusal("{}x") == "cannot read x.safetensors: header, byte 2; expected the end, found 'x'");
  CHECK(refusal(one(R"("dtype":"F32","shape":[],"data_offsets":[0,4])"), 3) ==
        "cannot read x.safetensors: tensor \"a\", data_offsets; expected begin <= end <= 3, found "
        "[0, 4]");
  CHECK(
      refusal(one(R"("dtype":"F32","shape":[2,3],"data_offsets":[0,20])"), 20) ==
      "cannot read x.safetensors: tensor \"a\"; expected 24 bytes for F32 [2, 3], found 20 bytes");
  CHECK(refusal(one(R"("dtype":"F8","shape":[],"data_offsets":[0,1])"), 1) ==
        "cannot read x.safetensors: tensor \"a\", dtype; expected F64, F32, F16, BF16, I64, I32, "
        "I16, I8, U8 or BOOL, "
        "found \"F8\"");
  CHECK(refusal(one(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), 1) ==
        "cannot read x.safetensors: tensor \"a\", data_offsets; expected begin <= end <= 1, found "
        "[1, 0]");
  CHECK(refusal(one(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,1])"), 1) ==
        "cannot read x.safetensors: tensor \"a\", data_offsets; expected 2 integers, found 3");
  CHECK(refusal(one(R"("dtype":"U8","shape":[0])")) ==
        "cannot read x.safetensors: tensor \"a\"; expected dtype, shape and data_offsets, found no "
        "data_offsets");
  CHECK(refusal(one(R"("dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1)")) ==
        "cannot read x.safetensors: tensor \"a\"; expected dtype, shape and data_offsets, found "
        "\"x\"");
  CHECK(refusal(one(R"("dtype":"U8","shape":[-1],"data_offsets":[0,0])")) ==
        "cannot read x.safetensors: header, \"a\", byte 28; expected an integer, 0 or more, found "
        "'-'");
  CHECK(refusal(one(R"("dtype":"U8","dtype":"U8")")) ==
        "cannot read x.safetensors: header, \"a\", byte 26; expected each key once, found "
        "\"dtype\" again");
  CHECK(refusal(R"({"__metadata__":{"a":1}})") ==
        "cannot read x.safetensors: header, \"__metadata__\", byte 21; expected '\"', found '1'");
  for (const char* bad : {"[]", "{\"a\":1}", "{\"a\":{}}", "{\"__metadata__\":[]}", "{\"a\":null}",
                          R"({"a":{"dtype":1,"shape":[],"data_offsets":[0,1]}})",
                          R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})",
                          R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})",
                          R"({"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}})",
                          R"({"a":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}})"})
    CHECK_FALSE(refusal(bad, 1).empty());
}

TEST_CASE("names, metadata keys and the metadata itself may come only once", "[io][safetensors]") {
  const std::string a = R"("a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  CHECK_THAT(refusal("{" + a + "," + a + "}"),
             contains("expected each key once, found \"a\" again"));
  CHECK_THAT(refusal(R"({"\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)" + a + "}"),
             contains("again"));
  CHECK_THAT(refusal(R"({"__metadata__":{"k":"1","k":"2"}})"), contains("\"k\" again"));
  CHECK_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})"), contains("again"));
}

TEST_CASE("gaps, overlaps and stray bytes in the data are refused", "[io][safetensors]") {
  const auto pair = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") + a +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}";
  };
  CHECK(refusal(pair("[0,2]", "[2,4]"), 4).empty());
  CHECK(refusal(pair("[2,4]", "[0,2]"), 4).empty());
  CHECK_THAT(refusal(pair("[0,2]", "[1,3]"), 3),
             contains("tensor \"b\"; expected data from byte 2, found 1, an overlap"));
  CHECK_THAT(refusal(pair("[0,2]", "[0,2]"), 2), contains("an overlap"));
  CHECK_THAT(refusal(pair("[0,2]", "[3,5]"), 5),
             contains("tensor \"b\"; expected data from byte 2, found 3, a gap"));
  CHECK_THAT(refusal(pair("[1,3]", "[3,5]"), 5),
             contains("tensor \"a\"; expected data from byte 0, found 1, a gap"));
  CHECK_THAT(refusal(pair("[0,2]", "[2,4]"), 7),
             contains("after the last tensor; expected the end of the file, found 3 bytes"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[1,1]},)"
                     R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                     2),
             contains("an overlap"));
}

TEST_CASE("a lenient reader takes stray bytes, and says so", "[io][safetensors]") {
  const std::string bytes = file_with(two, "abcde1234");
  CHECK_THROWS_AS(parse(bytes), sp::error);
  const auto file = parse(bytes, sp::strictness::lenient);
  CHECK(file.tolerated() == "x.safetensors: ignored 4 bytes after the last tensor");
  CHECK(char(file.at("b").bytes[1]) == 'e');
  const std::string exact = file_with(two, "abcde");
  CHECK(parse(exact, sp::strictness::lenient).tolerated().empty());
  const std::string gap =
      file_with(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "ab");
  CHECK_THROWS_AS(parse(gap, sp::strictness::lenient), sp::error);
}

TEST_CASE("sizes that a file only claims are never allocated", "[io][safetensors]") {
  const auto shaped = [](const std::string& shape) {
    return R"({"a":{"dtype":"F64","shape":[)" + shape + R"(],"data_offsets":[0,8]}})";
  };
  CHECK_THAT(refusal(shaped("4611686018427387904,4"), 8), contains("expected a size below 2^63"));
  CHECK_THAT(refusal(shaped("9223372036854775807"), 8), contains("expected a size below 2^63"));
  CHECK_THAT(refusal(shaped("4294967296,4294967296"), 8), contains("expected a size below 2^63"));
  CHECK_THAT(refusal(shaped("9223372036854775808"), 8), contains("expected an integer below 2^63"));
  CHECK_THAT(refusal(shaped("1000000000000"), 8),
             contains("8000000000000 bytes for F64 [1000000000000]"));
  CHECK_THAT(
      refusal(R"({"a":{"dtype":"U8","shape":[9000000000],"data_offsets":[0,9000000000]}})", 8),
      contains("expected begin <= end <= 8"));

  const auto claims = [](std::uint64_t length) {
    std::string bytes(reinterpret_cast<const char*>(&length), 8);
    bytes += "{}";
    return bytes;
  };
  const std::string beyond = claims(3), huge = claims(100'000'001),
                    whole = claims(~std::uint64_t(0));
  CHECK_THROWS_WITH(parse(beyond),
                    contains("expected 3 bytes, found 2 bytes to the end of the file"));
  CHECK_THROWS_WITH(parse(huge),
                    contains("expected at most 100000000 bytes, found 100000001 bytes"));
  CHECK_THROWS_WITH(parse(whole), contains("found 18446744073709551615 bytes"));
}

TEST_CASE("a file cut at any byte is refused", "[io][safetensors]") {
  const std::string bytes = file_with(two, "abcde");
  CHECK_NOTHROW(parse(bytes));
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    INFO("cut to " << n);
    const std::string cut = bytes.substr(0, n);
    CHECK_THROWS_WITH(parse(cut), contains("cannot read x.safetensors: "));
  }
}

TEST_CASE("what is no readable file is refused without waiting", "[io][safetensors]") {
  const temporary_folder scratch;
  CHECK_THROWS_WITH(sp::safetensors_file(scratch / "absent"),
                    contains("absent: No such file or directory"));
  CHECK_THROWS_WITH(sp::safetensors_file(scratch.path()), contains("it is not a regular file"));
  REQUIRE(::mkfifo((scratch / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(sp::safetensors_file(scratch / "pipe"), contains("it is not a regular file"));
  write_bytes(scratch / "empty", "");
  CHECK_THROWS_WITH(sp::safetensors_file(scratch / "empty"),
                    contains("expected at least 8 bytes, found 0 bytes"));
}

TEST_CASE("the writer refuses what a reader would", "[io][safetensors]") {
  const temporary_folder scratch;
  const std::array<float, 2> x{};
  const auto view = [&](const char* name, std::vector<sp::index> shape) {
    return sp::view_of(name, std::span(x), std::move(shape));
  };
  const auto target = scratch / "x";
  CHECK_THROWS_WITH(sp::write_safetensors(target, {view("a", {2}), view("a", {2})}),
                    contains("each name once"));
  CHECK_THROWS_WITH(sp::write_safetensors(target, {view("a", {3})}),
                    contains("expected 8 bytes, found [3]"));
  CHECK_THROWS_WITH(sp::write_safetensors(target, {view("a", {-2})}),
                    contains("expected a shape, found [-2]"));
  CHECK_THROWS_AS(sp::write_safetensors(target, {view("__metadata__", {2})}), sp::error);
  CHECK_THROWS_AS(sp::write_safetensors(target, {view("\xFF", {2})}), sp::error);
  CHECK(std::filesystem::is_empty(scratch.path()));
}

TEST_CASE("a tensor keeps its place in the file when the reader moves", "[io][safetensors]") {
  const temporary_folder scratch;
  const std::array<float, 3> x{1, 2, 3};
  sp::write_safetensors(scratch / "x", {sp::view_of("x", std::span(x), {3})});
  sp::safetensors_file first(scratch / "x");
  const sp::safetensors_file second = std::move(first);
  std::array<float, 3> y{};
  second.read_into(second.at("x"), std::span(y));
  CHECK(x == y);
}

TEST_CASE("recorded fixtures are read whole", "[io][safetensors]") {
  const auto folder = shared_data("parity");
  if (!folder) return skip("the parity fixtures are not beside the checkout");
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(*folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    const sp::safetensors_file file(entry.path());
    for (const auto& t : file.tensors()) CHECK(file.find(t.name) == &t);
    CHECK(file.tensors().size() > 0);
    ++files;
  }
  CHECK(files > 0);
}
