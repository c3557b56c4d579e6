#include <selfpatch/data/decode.hpp>
#include <selfpatch/data/open_source.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

#include <thread>

namespace sp = selfpatch;
namespace fs = std::filesystem;

namespace {

const std::string pixel = made::png(made::noise(2, 3, 3));

void put(const fs::path& p, const std::string& bytes = pixel) {
  fs::create_directories(p.parent_path());
  write_bytes(p, bytes);
}

std::vector<std::string> names(const sp::source& s, const fs::path& root) {
  std::vector<std::string> all;
  for (sp::index i = 0; i < s.size(); ++i)
    all.push_back(s.name(i).substr(root.native().size() + 1));
  return all;
}

using strings = std::vector<std::string>;

}  // namespace

TEST_CASE("a folder is listed by the bytes of its relative paths, hidden files left out",
          "[data][open_source]") {
  temporary_folder root;
  for (const char* name : {"b/2.png", "b/10.png", "b-a.png", "B.JPG", "b/sub/x.jpeg", ".hidden.png",
                           ".git/y.png", "notes.txt", "z.png.part", "\xc3\xa9.webp", "a\nb.png"})
    put(root / name);
  const sp::source s = sp::open_source(root.path().string(), sp::decode);
  CHECK(names(s, root.path()) == strings{"B.JPG", "a\\x0ab.png", "b-a.png", "b/10.png", "b/2.png",
                                         "b/sub/x.jpeg", "\xc3\xa9.webp"});
  CHECK(s.picture(1).height == 3);
  CHECK(s.label(0) == sp::no_label);
}

TEST_CASE("links are not followed, and said to be there", "[data][open_source]") {
  temporary_folder outside, root;
  put(outside / "secret.png");
  put(root / "a.png");
  fs::create_directory_symlink(outside.path(), root / "out");
  fs::create_directory_symlink(root.path(), root / "loop");
  fs::create_symlink(outside / "secret.png", root / "b.png");
  const sp::source s = sp::open_source(root.path().string(), sp::decode);
  CHECK(names(s, root.path()) == strings{"a.png"});
  REQUIRE(s.warnings().size() == 1);
  CHECK_THAT(s.warnings()[0], contains("3 symbolic links"));

  fs::remove(root / "a.png");  // replaced by a link after it was listed
  fs::create_symlink(outside / "secret.png", root / "a.png");
  CHECK_THROWS_WITH(s.picture(0), contains("symbolic link"));
}

TEST_CASE("missing and empty data is an error that names it", "[data][open_source]") {
  temporary_folder root;
  const std::string empty = root.path().string();
  CHECK_THROWS_WITH(sp::open_source("/no/such/place", sp::decode), contains("/no/such/place"));
  CHECK_THROWS_WITH(sp::open_source(empty, sp::decode), contains("no pictures"));
  put(root / "s.tar", made::tar_end());
  CHECK_THROWS_WITH(sp::open_source(empty, sp::decode), contains("1 .tar shards"));
  CHECK_THROWS_WITH(sp::open_source((root / "s.tar").string(), sp::decode),
                    contains("without samples"));
  put(root / "l.txt", "\n\n");
  CHECK_THROWS_WITH(sp::open_source((root / "l.txt").string(), sp::decode),
                    contains("one path per line"));
  put(root / "x.png");
  CHECK_THROWS_WITH(sp::open_source((root / "x.png").string(), sp::decode),
                    contains("another file"));
  CHECK_THROWS_AS(sp::open_sources({}, sp::decode), sp::error);
  for (const char* bad :
       {"scenes:", "scenes:0", "scenes:-1", "scenes:3x", "scenes:3:", "scenes:9999999999"})
    CHECK_THROWS_AS(sp::open_source(bad, sp::decode), sp::error);
}

TEST_CASE("a list names files relative to itself", "[data][open_source]") {
  temporary_folder root;
  put(root / "pictures/a b.png");
  put(root / "c.png");
  put(root / "lists/l.txt",
      "../pictures/a b.png\r\n\n" + (root / "c.png").string() + "\n../absent.png");
  const sp::source s = sp::open_source((root / "lists/l.txt").string(), sp::decode);
  REQUIRE(s.size() == 3);
  CHECK(s.picture(0).width == 2);
  CHECK(s.picture(1).width == 2);
  CHECK_THROWS_WITH(s.picture(2), contains("absent.png"));
}

TEST_CASE("a picture that cannot be read is named", "[data][open_source]") {
  temporary_folder root;
  put(root / "broken.jpg", "\xff\xd8\xff nothing else");
  put(root / "s.tar", made::tar_member("dir/bad.png", "text"));
  CHECK_THROWS_WITH(sp::open_source(root.path().string(), sp::decode).picture(0),
                    contains("broken.jpg"));
  CHECK_THROWS_WITH(sp::open_source((root / "s.tar").string(), sp::decode).picture(0),
                    contains("s.tar:dir/bad.png"));
}

TEST_CASE("sources of all kinds follow each other", "[data][open_source]") {
  temporary_folder root;
  put(root / "folder/a.png");
  put(root / "s.tar", made::tar_member("k.png", pixel) + made::tar_member("k.cls", "3"));
  const sp::source s = sp::open_sources(
      {(root / "folder").string(), (root / "s.tar").string(), "scenes:2:9"}, sp::decode);
  REQUIRE(s.size() == 4);
  CHECK(s.picture(0) == s.picture(1));
  CHECK(s.label(1) == 3);
  CHECK(s.picture(3) == sp::make_scene(9, 1).picture);
  CHECK(s.name(3) == "scenes:2:9[1]");
  CHECK(s.bytes(1).size() == pixel.size());
  CHECK(s.bytes(2).empty());
  CHECK_THROWS_WITH(sp::require_labels(s), contains("folder/a.png"));
  CHECK(sp::open_source("scenes:1", sp::decode, {.channels = 1}).picture(0).channels == 1);
}

TEST_CASE("class folders are listed as ImageFolder lists them", "[data][open_source]") {
  temporary_folder root;
  for (const char* name : {"b/2.png", "b/a/0.png", "b/10.png", "b/.h.png", ".c/1.png", "a/x.JPG",
                           "loose.png", "empty/readme.txt"})
    put(root / name);
  const sp::class_folders tree = sp::open_classes(root.path().string(), sp::decode);
  CHECK(tree.classes == strings{".c", "a", "b", "empty"});
  CHECK(tree.pictures.paths ==
        strings{".c/1.png", "a/x.JPG", "b/.h.png", "b/10.png", "b/2.png", "b/a/0.png"});
  CHECK(tree.pictures.labels == std::vector<int>{0, 1, 2, 2, 2, 2});
  REQUIRE(tree.pictures.notes.size() == 1);
  CHECK_THAT(tree.pictures.notes[0], contains("empty"));
  CHECK_NOTHROW(sp::require_labels(tree.pictures));
}

TEST_CASE("one source serves many threads", "[data][open_source]") {
  temporary_folder root;
  std::string shard;
  for (int i = 0; i < 20; ++i)
    shard += made::tar_member(std::to_string(i) + ".png",
                              made::png(made::noise(9, 9, 3, std::uint64_t(i))));
  put(root / "s.tar", shard);
  for (const bool keep_open : {true, false}) {
    const sp::source s = sp::open_source((root / "s.tar").string(), sp::decode, {}, keep_open);
    std::vector<int> wrong(4);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          const int at = (i + 5 * t) % 20;
          wrong[std::size_t(t)] += !(s.picture(at) == made::noise(9, 9, 3, std::uint64_t(at)));
        }
      });
    for (auto& t : threads) t.join();
    CHECK(wrong == std::vector<int>(4));
  }
}
