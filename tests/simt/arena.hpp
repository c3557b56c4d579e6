// arena: the shared memory of a block, poisoned before and guarded on both sides.
//
// Poison is all ones, which is NaN in float, half and bfloat16, -1 in integers and refused by every
// barrier.
#pragma once

#include "options.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace simt {

class arena {
 public:
  static constexpr std::size_t guard = 256, alignment = 1024;
  static constexpr unsigned char poison = 0xff, guarded = 0xc5;

  explicit arena(std::size_t bytes) : bytes_(bytes), all_(bytes + 2 * guard + alignment, guarded) {
    const auto first = reinterpret_cast<std::uintptr_t>(all_.data()) + guard;
    begin_ = all_.data() + guard + (alignment - first % alignment) % alignment;
    spoil(begin_, bytes_);
  }

  unsigned char* begin() { return begin_; }
  bool holds(const void* p, std::size_t bytes) const {
    const auto at = static_cast<const unsigned char*>(p);
    return at >= begin_ && at + bytes <= begin_ + bytes_;
  }
  std::size_t offset(const void* p) const {
    return std::size_t(static_cast<const unsigned char*>(p) - begin_);
  }
  static void spoil(void* p, std::size_t bytes) {
    if (bytes) std::memset(p, poison, bytes);
  }

  /// Throws if somebody wrote beside the memory.
  void check_guards() const {
    for (std::size_t i = 0; i < guard; ++i) {
      if (begin_[bytes_ + i] != guarded)
        throw error("shared memory was written " + std::to_string(i) + " bytes behind its end");
      if (*(begin_ - 1 - i) != guarded)
        throw error("shared memory was written " + std::to_string(i + 1) +
                    " bytes before its begin");
    }
  }

 private:
  std::size_t bytes_;
  std::vector<unsigned char> all_;
  unsigned char* begin_;
};

}  // namespace simt
