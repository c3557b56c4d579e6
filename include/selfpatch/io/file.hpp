// file: files that are replaced whole or not at all, and files read where they lie.
//
//   NAME.tmp.PID written -> fsync -> close -> rename to NAME -> fsync of the folder
//
// Whoever opens NAME, before, during or after a crash, sees all of the old bytes or all of the new.
// Every call is checked; calls go through a value (`system_files`), so that a test can let the n-th
// fail or record them all.
#pragma once

#include <selfpatch/core/error.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace selfpatch {

/// The file operations of the system: each returns -1 and sets errno when it fails.
struct system_files {
  int create(const char* path) {
    return ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  }
  std::ptrdiff_t write(int file, const void* from, std::size_t bytes) {
    return ::write(file, from, bytes);
  }
  /// Claims space; the file's length stays. Not posix_fallocate, which may write zeros instead.
  int reserve([[maybe_unused]] int file, [[maybe_unused]] std::int64_t bytes) {
#if defined(__linux__) && defined(FALLOC_FL_KEEP_SIZE)
    return ::fallocate(file, FALLOC_FL_KEEP_SIZE, 0, bytes);
#else
    return 0;
#endif
  }
  int sync(int file) { return ::fsync(file); }
  int close(int file) { return ::close(file); }
  int rename(const char* from, const char* to) { return ::rename(from, to); }
  int link(const char* from, const char* to) { return ::link(from, to); }
  int remove(const char* path) { return ::unlink(path); }
  int open_folder(const char* path) { return ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }
};

namespace detail {

inline std::string errno_text(int code = errno) { return std::generic_category().message(code); }

/// f() again while a signal interrupts it.
template <class F>
auto uninterrupted(const F& f) {
  auto r = f();
  while (r < 0 && errno == EINTR) r = f();
  return r;
}

inline std::filesystem::path folder_of(const std::filesystem::path& p) {
  return p.has_parent_path() ? p.parent_path() : std::filesystem::path(".");
}

}  // namespace detail

/// The name a file is written under until it is whole.
inline std::filesystem::path temporary_name(const std::filesystem::path& target) {
  auto name = target;
  name += ".tmp." + std::to_string(::getpid());
  return name;
}

[[noreturn]] inline void cannot_write(const std::filesystem::path& target, std::string_view doing,
                                      int code = errno) {
  throw write_error(problem{.what = "cannot write " + target.string(),
                            .where = std::string(doing) + ": " + detail::errno_text(code)});
}

/// Makes the names in a folder survive a power cut. Throws write_error about `target`.
template <class Files = system_files>
void sync_folder_of(const std::filesystem::path& target, Files&& files = {}) {
  const auto folder = detail::folder_of(target).string();
  const int file = detail::uninterrupted([&] { return files.open_folder(folder.c_str()); });
  if (file < 0) cannot_write(target, "open its folder");
  const int synced = detail::uninterrupted([&] { return files.sync(file); });
  const int code = errno;
  files.close(file);
  // Some network file systems cannot sync a folder and say EINVAL; nothing more can be done then.
  if (synced < 0 && code != EINVAL) cannot_write(target, "sync its folder", code);
}

/// A file on its way to replace `target`; not committed, it is removed again. One writer for a
/// target at a time.
template <class Files = system_files>
class atomic_file {
 public:
  explicit atomic_file(std::filesystem::path target, Files files = {})
      : target_(std::move(target)),
        temporary_(temporary_name(target_)),
        files_(std::forward<Files>(files)) {
    file_ = detail::uninterrupted([&] { return files_.create(temporary_.c_str()); });
    if (file_ < 0) cannot_write(target_, "create");
  }
  /// The same for a file that will be `bytes` long: a full disk shows before anything is written.
  atomic_file(std::filesystem::path target, Files files, std::uint64_t bytes)
      : atomic_file(std::move(target), std::forward<Files>(files)) {
    const int r = detail::uninterrupted([&] { return files_.reserve(file_, std::int64_t(bytes)); });
    const int code = errno;
    if (r < 0 && code != EOPNOTSUPP && code != ENOSYS && code != EINVAL)
      give_up("reserve space", code);
  }
  atomic_file(const atomic_file&) = delete;
  atomic_file& operator=(const atomic_file&) = delete;
  ~atomic_file() { discard(); }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::size_t most = std::min(bytes.size(), std::size_t(1) << 30);
      const auto n = detail::uninterrupted([&] { return files_.write(file_, bytes.data(), most); });
      if (n <= 0) give_up("write", n < 0 ? errno : EIO);
      bytes = bytes.subspan(std::size_t(n));
    }
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// The bytes are on the disk, still under the temporary name. After a failed fsync the pages may
  /// be lost although a second one succeeds, so there is none: the file is given up.
  void finish() {
    if (file_ < 0) return;
    if (detail::uninterrupted([&] { return files_.sync(file_); }) < 0) give_up("sync", errno);
    // Interrupted or not, Linux has closed it, and it was synced.
    if (files_.close(std::exchange(file_, -1)) < 0 && errno != EINTR) give_up("close", errno);
  }

  /// The target is the new file. `finish` has been called.
  void rename() {
    if (files_.rename(temporary_.c_str(), target_.c_str()) < 0) give_up("rename", errno);
    renamed_ = true;
  }

  /// All of it: the new file survives whatever happens from now on.
  void commit() {
    finish();
    rename();
    sync_folder_of<Files&>(target_, files_);
  }

  const std::filesystem::path& target() const { return target_; }

 private:
  [[noreturn]] void give_up(std::string_view doing, int code) {
    discard();
    cannot_write(target_, doing, code);
  }
  void discard() {
    if (file_ >= 0) files_.close(std::exchange(file_, -1));
    if (!renamed_ && !std::exchange(discarded_, true)) files_.remove(temporary_.c_str());
  }

  std::filesystem::path target_, temporary_;
  Files files_;
  int file_ = -1;
  bool renamed_ = false, discarded_ = false;
};

/// Replaces a file by these bytes, whole or not at all.
inline void write_file(const std::filesystem::path& target, std::string_view content) {
  atomic_file<> file(target, {}, content.size());
  file.write(content);
  file.commit();
}

/// Removes what writers that were killed left in a folder: regular files named `*.tmp.DIGITS`.
/// Returns how many. Call it when no other process writes there.
inline std::size_t remove_stale(const std::filesystem::path& folder) {
  const auto stale = [](const std::string& name) {
    const std::size_t at = name.rfind(".tmp.");
    if (at == std::string::npos || at == 0 || at + 5 == name.size()) return false;
    return name.find_first_not_of("0123456789", at + 5) == std::string::npos;
  };
  std::size_t removed = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.symlink_status(ignored).type() == std::filesystem::file_type::regular &&
        stale(entry.path().filename().string()))
      removed += std::filesystem::remove(entry.path(), ignored);
  return removed;
}

/// The bytes of a regular file, mapped read-only. They change if somebody writes into the file in
/// place, and a reader gets SIGBUS if somebody cuts it short; files of ours are only ever replaced.
class mapped_file {
 public:
  mapped_file() = default;
  explicit mapped_file(const std::filesystem::path& path) {
    const auto refuse = [&](std::string why) {
      throw error(problem{.what = "cannot read " + path.string(), .where = std::move(why)});
    };
    // Without O_NONBLOCK opening a pipe would wait for its writer.
    const int file = detail::uninterrupted(
        [&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
    if (file < 0) refuse(detail::errno_text());
    struct stat about {};
    const bool regular = ::fstat(file, &about) == 0 && S_ISREG(about.st_mode);
    size_ = regular ? std::size_t(about.st_size) : 0;
    if (size_ > 0) data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    const int code = errno;
    ::close(file);
    if (!regular) refuse("it is not a regular file");
    if (data_ == MAP_FAILED) {
      data_ = nullptr;
      refuse(detail::errno_text(code));
    }
  }
  mapped_file(mapped_file&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~mapped_file() {
    if (data_) ::munmap(data_, size_);
  }

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace selfpatch
