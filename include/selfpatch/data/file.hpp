// file: reading what others wrote. Only regular files are opened, never a pipe or a device that
// could block; reads name their place, so one handle serves many threads.
#pragma once

#include <selfpatch/data/format.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>
#include <vector>

namespace selfpatch {

/// A name from outside made fit for one line of a message: control characters as \xNN.
inline std::string printable(std::string_view name) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u != 0x7f)
      text += c;
    else
      text.append("\\x").append(1, digits[u >> 4]).append(1, digits[u & 15]);
  }
  return text;
}

enum class links { refused, followed };

/// A regular file open for reading.
class input_file {
 public:
  /// Throws error where there is no such file, it may not be read, it is not regular, or
  /// (links::refused) its last part is a symbolic link.
  explicit input_file(std::string name, links policy = links::followed) : name_(std::move(name)) {
    const int no_link = policy == links::refused ? O_NOFOLLOW : 0;
    handle_ = ::open(name_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | no_link);
    if (handle_ < 0)
      fail("cannot open the file", errno == ELOOP ? "a symbolic link" : std::strerror(errno));
    struct stat about {};
    const bool known = ::fstat(handle_, &about) == 0;
    if (!known || !S_ISREG(about.st_mode)) {
      ::close(handle_);
      fail("cannot read the file", known ? "not a regular file" : "no status");
    }
    size_ = std::uint64_t(about.st_size);
  }
  input_file(input_file&& other) noexcept
      : name_(std::move(other.name_)),
        handle_(std::exchange(other.handle_, -1)),
        size_(other.size_) {}
  input_file& operator=(input_file&& other) noexcept {
    std::swap(name_, other.name_);
    std::swap(handle_, other.handle_);
    std::swap(size_, other.size_);
    return *this;
  }
  input_file(const input_file&) = delete;
  input_file& operator=(const input_file&) = delete;
  ~input_file() {
    if (handle_ >= 0) ::close(handle_);
  }

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }

  /// Up to `count` bytes from `offset`; fewer only at the end of the file. Safe from many threads.
  std::size_t read_at(std::uint64_t offset, void* to, std::size_t count) const {
    std::size_t done = 0;
    while (done < count) {
      const ssize_t got =
          ::pread(handle_, static_cast<char*>(to) + done, count - done, off_t(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("cannot read the file", std::strerror(errno));
      if (got == 0) break;
      done += std::size_t(got);
    }
    return done;
  }

  /// `count` bytes from `offset`; throws where the file has become shorter.
  std::vector<std::byte> bytes_at(std::uint64_t offset, std::size_t count) const {
    std::vector<std::byte> bytes(count);
    if (read_at(offset, bytes.data(), count) != count)
      fail("cannot read the file", "it ends too early");
    return bytes;
  }

 private:
  [[noreturn]] void fail(const char* what, const char* found) const {
    throw error(problem{.what = what, .where = printable(name_), .found = found});
  }

  std::string name_;
  int handle_ = -1;
  std::uint64_t size_ = 0;
};

/// No picture file is larger than this; a larger one is refused unread.
inline constexpr std::uint64_t most_file_bytes = std::uint64_t(1) << 29;

/// All bytes of a regular file of at most 512 MiB.
inline std::vector<std::byte> read_file(const std::string& name, links policy = links::followed) {
  const input_file file(name, policy);
  if (file.size() > most_file_bytes)
    throw error(problem{.what = "the file is too large",
                        .where = printable(name),
                        .expected = "at most " + std::to_string(most_file_bytes) + " bytes",
                        .found = std::to_string(file.size())});
  return file.bytes_at(0, std::size_t(file.size()));
}

}  // namespace selfpatch
