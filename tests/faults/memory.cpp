// Memory that runs out at the n-th allocation, for every n: the operators new of this program
// count.
#include <selfpatch/io/checkpoint.hpp>
#include <selfpatch/io/jsonl.hpp>

#include "testing.hpp"

#include <array>
#include <cstdlib>
#include <new>

namespace sp = selfpatch;

namespace {

struct {
  long until_failure = -1;  // allocations that still succeed; negative: all do
  std::size_t bytes = 0;    // asked for since it was last set to 0
} allocations;

}  // namespace

// Not inlined: the compiler would see free for what it takes for new.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  allocations.bytes += bytes;
  if (allocations.until_failure >= 0 && allocations.until_failure-- == 0) throw std::bad_alloc();
  if (void* p = std::malloc(bytes ? bytes : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return std::malloc(bytes ? bytes : 1);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

/// f() with the n-th allocation failing, n from 0 until f needs fewer; look(succeeded) after each.
template <class F, class Look>
int starve(const F& f, const Look& look) {
  for (int n = 0;; ++n) {
    allocations.until_failure = n;
    bool starved = false;
    try {
      f();
    } catch (const std::bad_alloc&) {
      starved = true;
    }
    const bool reached = allocations.until_failure < 0;
    allocations.until_failure = -1;
    INFO("allocation " << n);
    look(!starved);
    if (!reached) return n;
  }
}

std::array<sp::named_view, 2> views(const std::array<float, 8>& w) {
  return {sp::view_of("a", std::span(w), {2, 4}), sp::view_of("b", std::span(w), {8})};
}

/// No test needs the disk to turn.
struct quick_files : sp::system_files {
  int sync(int) { return 0; }
};

float first_of(const sp::checkpoint& c) {
  std::array<float, 8> w{};
  c.file.read_into(c.file.at("b"), std::span(w));
  return w[0];
}

}  // namespace

TEST_CASE("a save that runs out of memory leaves a whole checkpoint and no litter",
          "[faults][checkpoint]") {
  const temporary_folder scratch;
  std::array<float, 8> w{1};
  sp::save_checkpoint(scratch.path(), views(w));
  const auto next = [&] {
    const auto list = views(w);
    sp::save_checkpoint(scratch.path(), list, {{"step", "a text that is too long for a short one"}},
                        quick_files{});
  };
  const int calls = starve(next, [&](bool succeeded) {
    const auto c = sp::load_checkpoint(scratch.path());
    CHECK(c.warning.empty());
    CHECK((first_of(c) == w[0] || !succeeded));
    for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
      CHECK(entry.path().extension() == ".safetensors");
    w[0] += 1;
  });
  CHECK(calls > 20);
}

TEST_CASE("a load that runs out of memory says so and can be repeated", "[faults][checkpoint]") {
  const temporary_folder scratch;
  std::array<float, 8> w{1};
  sp::save_checkpoint(scratch.path(), views(w));
  w[0] = 2;
  sp::save_checkpoint(scratch.path(), views(w));
  float loaded = 0;
  const int calls = starve([&] { loaded = first_of(sp::load_checkpoint(scratch.path())); },
                           [&](bool succeeded) { CHECK((!succeeded || loaded == 2)); });
  CHECK(calls > 20);
  CHECK(first_of(sp::load_checkpoint(scratch.path())) == 2);
}

TEST_CASE("reading a log that runs out of memory is a clean error", "[faults][jsonl]") {
  const std::string text = "{\"a\":{\"b\":1},\"long enough to need memory of its own\":\"x\"}\n";
  double b = 0;
  const auto read = [&] {
    const sp::json_log log(text, "log");
    b = log.lines().at(0).object("a")->number("b").value();
  };
  CHECK(starve(read, [](bool) {}) > 5);
  CHECK(b == 1);
}

TEST_CASE("no file makes the reader ask for more memory than a small multiple of its header",
          "[faults][safetensors]") {
  std::vector<std::string> headers;
  const std::string begin = R"({"a":{"dtype":"F64","shape":)", end = R"(,"data_offsets":[0,8]}})";
  headers.push_back(begin + "[1000000000000]" + end);
  headers.push_back(begin + "[1" + std::string(20'000, '0') + "]" + end);
  std::string ones = "[1";
  for (int i = 0; i < 20'000; ++i) ones += ",1";
  headers.push_back(begin + ones + "]" + end);
  std::string many = "{";
  for (int i = 0; i < 2'000; ++i)
    many += (i ? ",\"" : "\"") + std::to_string(i) +
            R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  headers.push_back(many + "}");
  headers.push_back("{\"" + std::string(100'000, 'n') + "\":" + std::string(100'000, '['));
  for (const auto& header : headers) {
    const std::uint64_t length = header.size();
    const std::string file =
        std::string(reinterpret_cast<const char*>(&length), 8) + header + "12345678";
    allocations.bytes = 0;
    try {
      sp::safetensors_file(std::as_bytes(std::span(file)), "x");
    } catch (const sp::error&) {
    }
    INFO(header.substr(0, 60));
    CHECK(allocations.bytes < 24 * file.size() + 4096);
  }
}
