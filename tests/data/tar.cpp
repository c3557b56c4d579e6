#include <selfpatch/data/tar.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

#include <cstring>

namespace sp = selfpatch;
using made::tar_end;
using made::tar_member;

namespace {

/// An archive in memory that notes how much was asked for at once.
struct in_memory {
  std::string bytes;
  mutable std::size_t largest = 0;

  std::uint64_t size() const { return bytes.size(); }
  std::size_t read_at(std::uint64_t at, void* to, std::size_t count) const {
    largest = std::max(largest, count);
    REQUIRE(at <= bytes.size());
    const std::size_t n = std::min(count, bytes.size() - std::size_t(at));
    std::memcpy(to, bytes.data() + at, n);
    return n;
  }
};

sp::tar_contents read(const std::string& bytes) { return sp::read_tar(in_memory{bytes}); }

std::string list(const sp::tar_contents& all) {
  std::string text;
  for (const auto& s : all.samples)
    text += s.key + "|" + s.suffix + "|" + std::to_string(s.label) + " ";
  return text;
}

const std::string plain = tar_member("a/s0.jpg", "picture") + tar_member("a/s0.cls", "17\n") +
                          tar_member("a/s1.seg.png", "mask") + tar_member("a/s1.PNG", "other");

}  // namespace

TEST_CASE("neighboring members with one key are one sample", "[data][tar]") {
  const auto all = read(plain + tar_end());
  CHECK(list(all) == "a/s0|jpg|17 a/s1|PNG|-1 ");
  CHECK(all.damage.empty());
  const auto& s1 = all.samples[1];
  CHECK(plain.substr(s1.offset, s1.size) == "other");
}

TEST_CASE("the end blocks and the padding of the last member may be missing", "[data][tar]") {
  CHECK(list(read(plain)) == "a/s0|jpg|17 a/s1|PNG|-1 ");
  CHECK(list(read(plain.substr(0, plain.size() - 500))) == "a/s0|jpg|17 a/s1|PNG|-1 ");
  CHECK(read(plain.substr(0, plain.size() - 500)).damage.empty());
  CHECK(read(tar_end()).samples.empty());
}

TEST_CASE("long names come from PAX, from GNU and from the prefix field", "[data][tar]") {
  const std::string name = std::string(300, 'k') + ".jpg";
  const std::string record = std::to_string(name.size() + 10) + " path=" + name + "\n";
  CHECK(read(tar_member("x", record, {.type = 'x'}) + tar_member("short", "p")).samples[0].key ==
        std::string(300, 'k'));
  CHECK(
      read(tar_member("x", name + '\0', {.type = 'L'}) + tar_member("short", "p")).samples[0].key ==
      std::string(300, 'k'));
  CHECK(list(read(tar_member("s.jpg", "p", {.prefix = "some/folder"}))) == "some/folder/s|jpg|-1 ");
  const std::string gnu("ustar  \0", 8);  // what lies in the prefix field is something else
  CHECK(list(read(tar_member("s.jpg", "p", {.magic = gnu, .prefix = "time"}))) == "s|jpg|-1 ");
}

TEST_CASE("links and folders are skipped, names are only names", "[data][tar]") {
  const auto all = read(tar_member("link.jpg", "", {.type = '2'}) + tar_member("d.jpg/", "") +
                        tar_member("dir", "", {.type = '5'}) + tar_member("../up.jpg", "p") +
                        tar_member("/etc/s.jpg", "p") + tar_end());
  CHECK(list(all) == "../up|jpg|-1 /etc/s|jpg|-1 ");
}

TEST_CASE("labels that are no numbers are told from missing ones", "[data][tar]") {
  const auto all = read(tar_member("a.cls", "cat") + tar_member("a.jpg", "p") +
                        tar_member("b.jpg", "p") + tar_member("c.cls", " 5 ") +
                        tar_member("c.jpg", "p") + tar_member("d.cls", std::string(99, '1')) +
                        tar_member("d.jpg", "p") + tar_member("e.cls", "1"));
  CHECK(list(all) == "a|jpg|-1 b|jpg|-1 c|jpg|5 d|jpg|-1 ");
  CHECK(all.samples[0].bad_label);
  CHECK_FALSE(all.samples[1].bad_label);
  CHECK(all.samples[3].bad_label);
  CHECK(all.without_picture == 1);
}

TEST_CASE("a size in base-256 is read", "[data][tar]") {
  std::string field(12, '\0');
  field[0] = char(0x80), field[11] = 7;
  CHECK(list(read(tar_member("s.jpg", "picture", {.size = field}) + plain)) ==
        "s|jpg|-1 a/s0|jpg|17 a/s1|PNG|-1 ");
}

TEST_CASE("a size no archive can hold is refused before anything is read", "[data][tar]") {
  for (const std::string& size :
       {std::string("77777777777\0", 12), std::string(1, char(0x80)) + std::string(11, '\x7f'),
        std::string(12, '\xff'), std::string("00000000009\0", 12),
        std::string("12 34567 zz\0", 12)}) {
    const in_memory archive{tar_member("s.jpg", "picture", {.size = size}) + plain};
    if (size.starts_with("12 ")) {
      CHECK_NOTHROW(sp::read_tar(archive));  // a blank ends a number: 10 bytes
      continue;
    }
    CHECK_THROWS_AS(sp::read_tar(archive), sp::error);
    CHECK(archive.largest <= 512);
  }
  const in_memory pax{tar_member("x", "30 size=9223372036854775807\n", {.type = 'x'}) + plain};
  CHECK_THROWS_AS(sp::read_tar(pax), sp::error);
}

TEST_CASE("a name of a gigabyte is refused before it is read", "[data][tar]") {
  const in_memory archive{tar_member("x", std::string(2 << 20, 'n'), {.type = 'L'})};
  CHECK_THROWS_WITH(sp::read_tar(archive), contains("longer than 1 MiB"));
  CHECK(archive.largest <= 512);
}

TEST_CASE("what is no archive is refused", "[data][tar]") {
  CHECK_THROWS_WITH(read(""), contains("empty"));
  CHECK_THROWS_WITH(read("some text"), contains("ends inside a header"));
  CHECK_THROWS_WITH(read(std::string(2000, 't')), contains("checksum"));
  CHECK_THROWS_WITH(read(tar_member("s.jpg", "p", {.good_checksum = false})), contains("checksum"));
}

TEST_CASE("damage after good samples is reported, and they are kept", "[data][tar]") {
  const auto bad_header = read(plain + tar_member("t.jpg", "p", {.good_checksum = false}));
  CHECK(list(bad_header) == "a/s0|jpg|17 a/s1|PNG|-1 ");
  CHECK_THAT(bad_header.damage, contains("checksum"));
  const auto cut =
      read((plain + tar_member("t.jpg", std::string(900, 'p'))).substr(0, plain.size() + 800));
  CHECK(list(cut) == "a/s0|jpg|17 a/s1|PNG|-1 ");
  CHECK_THAT(cut.damage, contains("beyond the end"));
}

TEST_CASE("an archive cut anywhere gives whole samples or an error", "[data][tar]") {
  const std::string whole = plain + tar_end();
  for (std::size_t keep = 0; keep < whole.size(); keep += 7) {
    try {
      for (const auto& s : read(whole.substr(0, keep)).samples) CHECK(s.offset + s.size <= keep);
    } catch (const sp::error&) {
      CHECK(keep < 1024);
    }
  }
}

TEST_CASE("malformed PAX records are refused", "[data][tar]") {
  for (const char* record : {"x", "5", "0 a=b\n", "99 path=a\n", "7 patha\n", "11 size=1x5\n"})
    CHECK_THROWS_WITH(read(tar_member("x", record, {.type = 'x'}) + plain), contains("PAX"));
}

TEST_CASE("compressed archives are refused by name", "[data][tar]") {
  temporary_folder scratch;
  write_bytes(scratch / "a.tar", "\x1f\x8b\x08 and so on");
  CHECK_THROWS_WITH(sp::read_tar_file(sp::input_file((scratch / "a.tar").string())),
                    contains("gzip") && contains("gunzip") && contains("a.tar"));
}
