// options: how blocks are run, and the device they are told they run on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace simt {

/// What a kernel did wrong, in a sentence with the places in the source.
struct error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Which of the threads that can go on does so first; also which of several copies arrives first.
enum class order { forward, reverse, shuffled };

struct options {
  bool races = false;  ///< look for races in shared memory
  simt::order order = simt::order::forward;
  std::uint32_t seed = 1;           ///< of the shuffle
  std::size_t stack = 64 << 10;     ///< bytes per thread
  int processors = 2;               ///< what the kernel's launcher takes for the device's
  std::size_t shared = 227 * 1024;  ///< bytes of shared memory a block may have
  bool bulk_copies = true;          ///< false: a device before sm_90
};
inline options& current_options() {
  static options now;
  return now;
}

/// Sets the options for a scope.
class with {
 public:
  explicit with(const options& o) : before_(current_options()) { current_options() = o; }
  with(const with&) = delete;
  with& operator=(const with&) = delete;
  ~with() { current_options() = before_; }

 private:
  options before_;
};

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
  constexpr unsigned size() const { return x * y * z; }
};

}  // namespace simt
