#include <selfpatch/data/file.hpp>

#include "testing.hpp"

#include <sys/stat.h>

namespace sp = selfpatch;

TEST_CASE("a file is read whole and in parts", "[data][file]") {
  temporary_folder scratch;
  write_bytes(scratch / "a", "0123456789");
  const sp::input_file file((scratch / "a").string());
  CHECK(file.size() == 10);
  CHECK(file.bytes_at(3, 4) ==
        std::vector<std::byte>{std::byte('3'), std::byte('4'), std::byte('5'), std::byte('6')});
  char end[8];
  CHECK(file.read_at(7, end, 8) == 3);
  CHECK_THROWS_WITH(file.bytes_at(7, 4), contains("ends too early"));
  CHECK(sp::read_file((scratch / "a").string()).size() == 10);
}

TEST_CASE("only regular files are opened", "[data][file]") {
  temporary_folder scratch;
  const auto opening = [&](const char* name, sp::links policy = sp::links::followed) {
    return [&, name, policy] { sp::input_file((scratch / name).string(), policy); };
  };
  REQUIRE(::mkfifo((scratch / "pipe").c_str(), 0600) == 0);  // opening it as a file would block
  CHECK_THROWS_WITH(opening("pipe")(), contains("not a regular file"));
  CHECK_THROWS_WITH(opening("")(), contains("not a regular file"));
  CHECK_THROWS_WITH(opening("absent")(), contains("No such file"));
  write_bytes(scratch / "target", "x");
  std::filesystem::create_symlink("target", scratch / "link");
  CHECK_NOTHROW(opening("link")());
  CHECK_THROWS_WITH(opening("link", sp::links::refused)(), contains("a symbolic link"));
  CHECK_THROWS_WITH(sp::input_file("/dev/zero"), contains("not a regular file"));
}

TEST_CASE("a huge file is refused unread", "[data][file]") {
  temporary_folder scratch;
  write_bytes(scratch / "sparse", "");
  std::filesystem::resize_file(scratch / "sparse", std::uintmax_t(1) << 36);
  CHECK_THROWS_WITH(sp::read_file((scratch / "sparse").string()), contains("too large"));
}

TEST_CASE("names are fit for one line", "[data][file]") {
  CHECK(sp::printable("a b\nc\x7f\xc3\xa9") == "a b\\x0ac\\x7f\xc3\xa9");
  try {
    sp::input_file("no\nsuch\nfile");
  } catch (const sp::error& e) {
    CHECK(std::string(e.what()).find('\n') == std::string::npos);
  }
}
