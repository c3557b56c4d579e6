#include "testing.hpp"

#include <sys/wait.h>

#include <array>

namespace fs = std::filesystem;

namespace {

struct ended {
  int status = -1;
  std::string out, err;

  std::string last_line() const {
    const auto end = out.find_last_not_of('\n');
    return end == std::string::npos
               ? ""
               : out.substr(out.rfind('\n', end) + 1, end - out.rfind('\n', end));
  }
};

ended run(const std::string& arguments) {
  const temporary_folder scratch;
  const std::string command = program("parity").string() + " " + arguments + " >" +
                              (scratch / "out").string() + " 2>" + (scratch / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, file_bytes(scratch / "out"),
          file_bytes(scratch / "err")};
}

/// A copy of a fixture that may be spoiled.
fs::path copied(const temporary_folder& scratch, const std::string& name) {
  const fs::path to = scratch / name;
  fs::copy(fixture(name), to);
  for (const auto& entry : fs::directory_iterator(to)) fs::permissions(entry, fs::perms::owner_all);
  return to;
}

void replace_in(const fs::path& file, const std::string& what, const std::string& by) {
  std::string text = file_bytes(file);
  REQUIRE(text.find(what) != std::string::npos);
  write_bytes(file, text.replace(text.find(what), what.size(), by));
}

/// Changes the sign of a stored number, the last one of the file.
void spoil_last_number(const fs::path& file) {
  std::string bytes = file_bytes(file);
  bytes.back() = char(bytes.back() ^ 0x80);
  write_bytes(file, bytes);
}

}  // namespace

TEST_CASE("parity agrees with every committed fixture in its own precision", "[programs][parity]") {
  const auto all = run(fixture("").string());
  CHECK(all.status == 0);
  CHECK_THAT(all.last_line(), contains("parity: ") && contains(" quantities, worst 0."));
  for (const char* folder :
       {"ops/", "features/", "tiny_f32/", "plain_f32/", "droppath_f64/", "vit_tiny_f32/"})
    CHECK_THAT(all.out, contains(folder));
}

TEST_CASE("parity agrees with the fixtures in the other precision, and with several threads",
          "[programs][parity]") {
  CHECK(run(fixture("tiny_f32").string() + " --dtype f64").status == 0);
  CHECK(run(fixture("droppath_f64").string() + " --dtype f32 --threads 3").status == 0);
  CHECK(run(fixture("ops").string() + " --dtype f32").status == 0);
  CHECK(run(fixture("features").string() + " --dtype f32").status == 0);
}

TEST_CASE("parity prints the same with one thread and with three", "[programs][parity]") {
  const std::string folder = fixture("tiny_f32").string();
  CHECK(run(folder + " --verbose --threads 1").out == run(folder + " --verbose --threads 3").out);
}

TEST_CASE("parity fails and names the quantity when one recorded number is another",
          "[programs][parity]") {
  const temporary_folder scratch;
  for (const char* name : {"ops", "features", "tiny_f32"}) {
    const auto folder = copied(scratch, name);
    const std::string file = name == std::string("ops")        ? "ops.safetensors"
                             : name == std::string("features") ? "dino.expected.safetensors"
                                                               : "expected.safetensors";
    spoil_last_number(folder / file);
    const auto spoiled = run(folder.string());
    INFO(name);
    CHECK(spoiled.status == 1);
    CHECK_THAT(spoiled.out, contains("FAILED"));
  }
}

TEST_CASE("parity fails when the recipe is another than the recorded one", "[programs][parity]") {
  const std::array<std::pair<const char*, const char*>, 5> mistakes{
      {{"\"clip\": 0.3", "\"clip\": 3.0"},
       {"\"k\": 4", "\"k\": 5"},
       {"\"torus\"", "\"clamped\""},
       {"\"momentum\": 0.9,", "\"momentum\": 0.8,"},
       {"\"frozen\": true", "\"frozen\": false"}}};
  for (const auto& [right, wrong] : mistakes) {
    const temporary_folder scratch;
    const auto folder = copied(scratch, "tiny_f32");
    replace_in(folder / "fixture.json", right, wrong);
    INFO(wrong);
    CHECK(run(folder.string()).status == 1);
  }
}

TEST_CASE("parity finds stored weights that are not the generated ones", "[programs][parity]") {
  const temporary_folder scratch;
  const auto folder = copied(scratch, "tiny_f32");
  spoil_last_number(folder / "teacher.safetensors");
  const auto spoiled = run(folder.string());
  CHECK(spoiled.status == 1);
  CHECK_THAT(spoiled.out, contains("teacher as generated"));
}

TEST_CASE("parity ends with status 2 and one line for what it does not know",
          "[programs][parity]") {
  const temporary_folder scratch;
  const auto refused = [](const std::string& arguments, const std::string& words) {
    const auto made = run(arguments);
    INFO(arguments);
    CHECK(made.status == 2);
    CHECK_THAT(made.err, contains(words));
    CHECK(std::count(made.err.begin(), made.err.end(), '\n') == 1);
  };
  refused((scratch / "nowhere").string(), "expected a folder");
  refused(scratch.path().string(), "nothing recorded that is known here");

  auto folder = copied(scratch, "tiny_f32");
  replace_in(folder / "fixture.json", "\"embed\": 32", "\"embed\": 40");
  refused(folder.string(), "32/2/4, 64/4/4, 48/3/8, 192/3/16, 192/3/8, 128/4/8, found 40/2/4");
  replace_in(folder / "fixture.json", "\"embed\": 40", "\"embod\": 40");
  refused(folder.string(), "embed");
  write_bytes(folder / "fixture.json", "{");
  refused(folder.string(), "JSON");

  folder = copied(scratch, "plain_f32");
  write_bytes(folder / "student.safetensors",
              file_bytes(folder / "student.safetensors").substr(0, 1000));
  refused(folder.string(), "student.safetensors");
}

TEST_CASE("parity names the folders of a folder that it does not check", "[programs][parity]") {
  const temporary_folder scratch;
  fs::create_directory(scratch / "unknown");
  copied(scratch, "features");
  const auto made = run(scratch.path().string());
  CHECK(made.status == 0);
  CHECK_THAT(made.err, contains("not checked: ") && contains("unknown"));
}
