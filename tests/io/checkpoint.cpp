#include <selfpatch/io/checkpoint.hpp>

#include "testing.hpp"

#include <array>

namespace sp = selfpatch;

namespace {

/// Saves a tensor `w` filled with x, and the step.
void save(const std::filesystem::path& folder, float x) {
  const std::array<float, 5> w{x, x, x, x, x};
  const std::array<std::int32_t, 1> count{7};
  const std::array views{sp::view_of("w", std::span(w), {5}),
                         sp::view_of("count", std::span(count), {})};
  sp::save_checkpoint(folder, views, {{"step", std::to_string(int(x))}});
}

float first_of(const sp::checkpoint& c) {
  std::array<float, 5> w{};
  c.file.read_into(c.file.at("w"), std::span(w));
  return w[0];
}

void flip(const std::filesystem::path& path, std::size_t at, int bits = 1) {
  std::string bytes = file_bytes(path);
  bytes[at] = char(bytes[at] ^ bits);
  write_bytes(path, bytes);
}

}  // namespace

TEST_CASE("a checkpoint loads what was saved, tensors and metadata", "[io][checkpoint]") {
  const temporary_folder scratch;
  CHECK_FALSE(sp::has_checkpoint(scratch.path()));
  save(scratch.path(), 1);
  CHECK(sp::has_checkpoint(scratch.path()));
  const auto c = sp::load_checkpoint(scratch.path());
  CHECK(first_of(c) == 1);
  CHECK(c.metadata == sp::string_map{{"step", "1"}});
  CHECK(c.path == sp::checkpoint_path(scratch.path()));
  CHECK(c.warning.empty());
}

TEST_CASE("the generation before is kept, and only that one", "[io][checkpoint]") {
  const temporary_folder scratch;
  save(scratch.path(), 1);
  CHECK_FALSE(std::filesystem::exists(sp::previous_checkpoint_path(scratch.path())));
  save(scratch.path(), 2);
  save(scratch.path(), 3);
  CHECK(first_of(sp::load_checkpoint(scratch.path())) == 3);
  CHECK(first_of(sp::detail::load_generation(sp::previous_checkpoint_path(scratch.path()))) == 2);
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 2);
}

TEST_CASE(
    "a checkpoint that does not hold gives way to the one before, with a warning that names both",
    "[io][checkpoint]") {
  const temporary_folder scratch;
  save(scratch.path(), 1);
  save(scratch.path(), 2);
  const auto newest = sp::checkpoint_path(scratch.path()),
             previous = sp::previous_checkpoint_path(scratch.path());
  const auto size = std::filesystem::file_size(newest);

  SECTION("a bit flipped in a tensor") {
    flip(newest, size - 9);
    const auto c = sp::load_checkpoint(scratch.path());
    CHECK(first_of(c) == 1);
    CHECK(c.path == previous);
    CHECK_THAT(c.warning,
               contains("cannot read " + newest.string() + ": tensor w; expected hash ") &&
                   contains("; going back to " + previous.string()));
  }
  SECTION("cut short") {
    std::filesystem::resize_file(newest, size / 2);
    CHECK(first_of(sp::load_checkpoint(scratch.path())) == 1);
  }
  SECTION("gone") {
    std::filesystem::remove(newest);
    const auto c = sp::load_checkpoint(scratch.path());
    CHECK(first_of(c) == 1);
    CHECK_THAT(c.warning, contains("No such file"));
  }
  SECTION("weights that are no checkpoint") {
    const std::array<float, 1> w{1};
    sp::write_safetensors(newest, {sp::view_of("w", std::span(w), {1})});
    const auto c = sp::load_checkpoint(scratch.path());
    CHECK(first_of(c) == 1);
    CHECK_THAT(c.warning, contains("none: not a checkpoint"));
  }
  SECTION("both: an error with both reasons") {
    flip(newest, size - 1);
    flip(previous, 3);
    CHECK_THROWS_WITH(sp::load_checkpoint(scratch.path()),
                      contains(newest.string()) && contains(previous.string()));
  }
}

TEST_CASE("saving over a rotten checkpoint does not cost the good one before", "[io][checkpoint]") {
  const temporary_folder scratch;
  save(scratch.path(), 1);
  save(scratch.path(), 2);
  flip(sp::checkpoint_path(scratch.path()), 30);
  REQUIRE(first_of(sp::load_checkpoint(scratch.path())) == 1);
  save(scratch.path(), 3);
  CHECK(first_of(sp::load_checkpoint(scratch.path())) == 3);
}

TEST_CASE("an empty folder has no checkpoint to load", "[io][checkpoint]") {
  const temporary_folder scratch;
  CHECK_THROWS_AS(sp::load_checkpoint(scratch.path()), sp::error);
}

TEST_CASE("every flip of every byte of a checkpoint is detected", "[io][checkpoint]") {
  const temporary_folder scratch;
  save(scratch.path(), 1);
  const std::string whole = file_bytes(sp::checkpoint_path(scratch.path()));
  const auto loads = [](const std::string& bytes) {
    try {
      sp::detail::verify_hashes(sp::safetensors_file(std::as_bytes(std::span(bytes)), "x"));
      return true;
    } catch (const sp::error&) {
      return false;
    }
  };
  REQUIRE(loads(whole));
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), 8);
  int undetected = 0;
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (int bits = 1; bits < 256; ++bits) {
      std::string bad = whole;
      bad[at] = char(bad[at] ^ bits);
      // White space for white space in the padding says the same.
      const bool padding =
          at >= 8 && at < 8 + header && std::string_view(" \t\r\n").find(bad[at]) < 4;
      undetected += loads(bad) && !padding;
    }
  CHECK(undetected == 0);
}

TEST_CASE("a checkpoint is the same bytes whenever and wherever it is saved", "[io][checkpoint]") {
  const temporary_folder here, there;
  save(here.path(), 4);
  save(there.path(), 3);
  save(there.path(), 4);
  CHECK(file_bytes(sp::checkpoint_path(here.path())) ==
        file_bytes(sp::checkpoint_path(there.path())));
}
