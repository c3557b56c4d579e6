#include <selfpatch/io/file.hpp>

#include "testing.hpp"

#include <sys/stat.h>

namespace sp = selfpatch;

namespace {

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("a committed file replaces the old one and leaves nothing beside it", "[io][file]") {
  const temporary_folder scratch;
  sp::write_file(scratch / "a", "old");
  sp::atomic_file<> file(scratch / "a");
  file.write("new ");
  file.write("bytes");
  CHECK(file_bytes(scratch / "a") == "old");
  file.commit();
  CHECK(file_bytes(scratch / "a") == "new bytes");
  CHECK(names_in(scratch.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("a file that is not committed leaves the old one and nothing beside it", "[io][file]") {
  const temporary_folder scratch;
  sp::write_file(scratch / "a", "old");
  {
    sp::atomic_file<> file(scratch / "a");
    file.write("new");
    CHECK(names_in(scratch.path()).size() == 2);
  }
  CHECK(file_bytes(scratch / "a") == "old");
  CHECK(names_in(scratch.path()) == std::vector<std::string>{"a"});
}

TEST_CASE("space reserved and not used does not lengthen the file", "[io][file]") {
  const temporary_folder scratch;
  sp::atomic_file<> file(scratch / "a", {}, 100'000);
  file.write("abc");
  file.commit();
  CHECK(file_bytes(scratch / "a") == "abc");
}

TEST_CASE("what cannot be written is named with the reason", "[io][file]") {
  const temporary_folder scratch;
  CHECK_THROWS_AS(sp::write_file(scratch / "absent" / "a", "x"), sp::write_error);
  CHECK_THROWS_WITH(
      sp::write_file(scratch / "absent" / "a", "x"),
      contains("cannot write ") && contains("absent/a: create: No such file or directory"));
  std::filesystem::create_directory(scratch / "folder");
  CHECK_THROWS_WITH(sp::write_file(scratch / "folder", "x"),
                    contains("folder: rename: Is a directory"));
  CHECK(names_in(scratch.path()) == std::vector<std::string>{"folder"});
}

TEST_CASE("a temporary name that is a link is not followed", "[io][file]") {
  const temporary_folder scratch;
  write_bytes(scratch / "precious", "precious");
  std::filesystem::create_symlink(scratch / "precious", sp::temporary_name(scratch / "a"));
  CHECK_THROWS_AS(sp::write_file(scratch / "a", "x"), sp::write_error);
  CHECK(file_bytes(scratch / "precious") == "precious");
}

TEST_CASE("what killed writers left is removed, and nothing else", "[io][file]") {
  const temporary_folder scratch;
  const std::vector<std::string> kept{".tmp.1",    "a",       "a.tmp", "a.tmp.",
                                      "a.tmp.12x", "a.tmp.x", "tmp.12"};
  for (const auto& name : kept) write_bytes(scratch / name, "x");
  for (const char* name : {"a.tmp.1", "checkpoint.safetensors.tmp.4194304", "a.tmp.1.tmp.22"})
    write_bytes(scratch / name, "x");
  std::filesystem::create_directory(scratch / "b.tmp.1");
  std::filesystem::create_symlink(scratch / "a", scratch / "c.tmp.1");

  CHECK(sp::remove_stale(scratch.path()) == 3);
  auto left = kept;
  left.insert(left.end(), {"b.tmp.1", "c.tmp.1"});
  std::sort(left.begin(), left.end());
  CHECK(names_in(scratch.path()) == left);
  CHECK(sp::remove_stale(scratch / "absent") == 0);
}

TEST_CASE("a mapped file shows the bytes of the file, also when it is replaced or empty",
          "[io][file]") {
  const temporary_folder scratch;
  sp::write_file(scratch / "a", "old");
  sp::mapped_file old(scratch / "a");
  sp::write_file(scratch / "a", "newer");
  CHECK(old.text() == "old");
  CHECK(sp::mapped_file(scratch / "a").text() == "newer");
  const sp::mapped_file moved = std::move(old);
  CHECK(moved.text() == "old");
  sp::write_file(scratch / "empty", "");
  CHECK(sp::mapped_file(scratch / "empty").text().empty());
}
