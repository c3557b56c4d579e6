#include <selfpatch/io/checkpoint.hpp>
#include <selfpatch/io/jsonl.hpp>

#include "testing.hpp"

#include <array>
#include <cstring>

namespace sp = selfpatch;

namespace {

/// How the calls of a save go wrong.
struct fault {
  int at = 0;      // the n-th call that can fail so, from 1
  int code = EIO;  // errno
  bool from_then_on = false;
  bool short_write = false;  // writes half instead of failing
  bool no_links = false;     // a file system without hard links
  int calls = 0;
};

/// The file operations of the system, one of which fails. Removing works: a test of it would only
/// leave litter.
struct faulty_files {
  fault* plan;
  sp::system_files real{};

  bool fails() {
    const int n = ++plan->calls;
    const bool now = !plan->short_write && (plan->from_then_on ? n >= plan->at : n == plan->at);
    if (now) errno = plan->code;
    return now;
  }
  int create(const char* path) { return fails() ? -1 : real.create(path); }
  std::ptrdiff_t write(int file, const void* from, std::size_t bytes) {
    if (fails()) return -1;
    const bool half = plan->short_write && plan->calls >= plan->at;
    return real.write(file, from, half ? (bytes + 1) / 2 : bytes);
  }
  int reserve(int file, std::int64_t bytes) { return fails() ? -1 : real.reserve(file, bytes); }
  int sync(int) { return fails() ? -1 : 0; }  // no test needs the disk to turn
  int close(int file) {
    real.close(file);
    return plan->from_then_on || !fails() ? 0 : -1;
  }
  int rename(const char* from, const char* to) { return fails() ? -1 : real.rename(from, to); }
  int link(const char* from, const char* to) {
    if (fails()) return -1;
    if (plan->no_links && std::filesystem::exists(from)) {
      errno = EPERM;
      return -1;
    }
    return real.link(from, to);
  }
  int remove(const char* path) { return real.remove(path); }
  int open_folder(const char* path) { return fails() ? -1 : real.open_folder(path); }
};

void save(const std::filesystem::path& folder, int x, fault& plan) {
  std::array<float, 100> w;
  w.fill(float(x));
  const std::array views{sp::view_of("a", std::span(w), {10, 10}),
                         sp::view_of("b", std::span(w), {100})};
  sp::save_checkpoint(folder, views, {}, faulty_files{&plan});
}
void save(const std::filesystem::path& folder, int x) {
  fault none;
  save(folder, x, none);
}

int loaded(const std::filesystem::path& folder) {
  const auto c = sp::load_checkpoint(folder);
  CHECK(c.warning.empty());
  std::array<float, 100> w{};
  c.file.read_into(c.file.at("b"), std::span(w));
  return int(w[0]);
}

/// Saves 3 over 2 over 1 with the fault, and looks at what is left. False if the fault came after
/// the last call.
bool survives(fault plan) {
  const temporary_folder scratch;
  for (int x = 1; x <= 2; ++x) save(scratch.path(), x);
  bool acknowledged = true;
  std::string said;
  try {
    save(scratch.path(), 3, plan);
  } catch (const sp::write_error& e) {
    acknowledged = false;
    said = e.what();
  }
  INFO("call " << plan.at << ", errno " << plan.code << ", said: " << said);
  if (acknowledged) {
    CHECK(loaded(scratch.path()) == 3);
  } else {
    CHECK_THAT(said, contains("cannot write ") && contains("/checkpoint.") &&
                         contains(std::strerror(plan.code)));
    const int x = loaded(scratch.path());
    CHECK((x == 2 || x == 3));
  }
  CHECK_NOTHROW(sp::detail::load_generation(sp::previous_checkpoint_path(scratch.path())));
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 2);

  save(scratch.path(), 4);
  CHECK(loaded(scratch.path()) == 4);
  return plan.calls >= plan.at;
}

int open_files() {
  return int(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

}  // namespace

TEST_CASE("a save in which any one call fails leaves a whole checkpoint and says what failed",
          "[faults][checkpoint]") {
  const int before = open_files();
  for (const bool no_links : {false, true})
    for (const int code : {ENOSPC, EIO, EDQUOT, EROFS}) {
      int n = 1;
      while (survives({.at = n, .code = code, .no_links = no_links})) ++n;
      CHECK(n > 12);
    }
  CHECK(open_files() == before);
}

TEST_CASE("a disk that is full from any call on keeps the old checkpoint", "[faults][checkpoint]") {
  for (const bool no_links : {false, true}) {
    int n = 1;
    while (survives({.at = n, .code = ENOSPC, .from_then_on = true, .no_links = no_links})) ++n;
    CHECK(n > 10);
  }
}

TEST_CASE("interrupted calls and short writes are continued", "[faults][checkpoint]") {
  int interrupted = 0;
  for (int n = 1; n < 30; ++n) {
    const temporary_folder scratch;
    for (int x = 1; x <= 2; ++x) save(scratch.path(), x);
    fault plan{.at = n, .code = EINTR};
    try {
      save(scratch.path(), 3, plan);
    } catch (const sp::write_error& e) {
      // Of renames nobody knows whether to repeat them; nothing else may fail.
      CHECK_THAT(e.what(), contains(": rename: Interrupted system call"));
      ++interrupted;
    }
    CHECK(loaded(scratch.path()) >= 2);
    fault half{.at = n, .short_write = true};
    CHECK_NOTHROW(save(scratch.path(), 5, half));
    CHECK(loaded(scratch.path()) == 5);
  }
  CHECK(interrupted == 2);
}

TEST_CASE("a file system that cannot reserve space or sync folders is no obstacle",
          "[faults][checkpoint]") {
  const temporary_folder scratch;
  struct modest_files : sp::system_files {
    int reserve(int, std::int64_t) {
      errno = EOPNOTSUPP;
      return -1;
    }
    int sync(int file) {
      struct stat about {};
      if (::fstat(file, &about) == 0 && S_ISDIR(about.st_mode)) {
        errno = EINVAL;
        return -1;
      }
      return 0;
    }
  };
  const std::array<float, 1> w{1};
  CHECK_NOTHROW(sp::save_checkpoint(scratch.path(), std::array{sp::view_of("w", std::span(w), {1})},
                                    {}, modest_files{}));
  CHECK_NOTHROW(sp::load_checkpoint(scratch.path()));
}

TEST_CASE("the first save of a run fails without leaving anything", "[faults][checkpoint]") {
  for (int n = 1;; ++n) {
    const temporary_folder scratch;
    fault plan{.at = n, .code = ENOSPC};
    bool failed = false;
    try {
      save(scratch.path(), 1, plan);
    } catch (const sp::write_error&) {
      failed = true;
    }
    if (plan.calls < n) break;
    INFO("call " << n);
    const auto left = std::distance(std::filesystem::directory_iterator(scratch.path()), {});
    if (sp::has_checkpoint(scratch.path()))
      CHECK(loaded(scratch.path()) == 1);
    else
      CHECK((failed && left == 0));
  }
}

TEST_CASE("weights that cannot be written leave the old file as it was", "[faults][safetensors]") {
  const std::array<float, 2> w{1, 2};
  const std::array views{sp::view_of("w", std::span(w), {2})};
  for (int n = 1;; ++n) {
    const temporary_folder scratch;
    const auto target = scratch / "backbone.safetensors";
    sp::write_safetensors(target, views, {{"k", "old"}});
    fault plan{.at = n, .code = EIO};
    bool failed = false;
    try {
      sp::write_safetensors(target, views, {{"k", "new"}}, faulty_files{&plan});
    } catch (const sp::write_error& e) {
      failed = true;
      CHECK_THAT(e.what(),
                 contains("cannot write " + target.string()) && contains("Input/output error"));
    }
    if (plan.calls < n) break;
    INFO("call " << n);
    const std::string found = sp::safetensors_file(target).metadata().at("k");
    CHECK((found == "new" || (failed && found == "old")));
    CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 1);
  }
}

TEST_CASE("a line of the log that does not fit on the disk is taken back whole",
          "[faults][jsonl]") {
  const temporary_folder scratch;
  static int left;  // bytes until the disk is full
  struct small_disk : sp::system_files {
    std::ptrdiff_t write(int file, const void* from, std::size_t bytes) {
      if (left == 0) {
        errno = ENOSPC;
        return -1;
      }
      const auto n = sp::system_files::write(file, from, std::min(bytes, std::size_t(left)));
      left -= int(n);
      return n;
    }
  };
  left = 12;
  sp::json_log_writer<small_disk> log(scratch / "log");
  log.write(sp::json_record().add("a", 1));
  CHECK_THROWS_WITH(log.write(sp::json_record().add("a", 2)),
                    contains("log: write: No space left on device"));
  CHECK(file_bytes(scratch / "log") == "{\"a\":1}\n");
  left = 100;
  log.write(sp::json_record().add("a", 3));
  CHECK(file_bytes(scratch / "log") == "{\"a\":1}\n{\"a\":3}\n");
}
