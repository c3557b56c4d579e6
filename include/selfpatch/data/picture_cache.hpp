// picture_cache: decoded pictures within a budget of bytes, for many threads.
#pragma once

#include <selfpatch/core/shape.hpp>
#include <selfpatch/data/image.hpp>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace selfpatch {

/// Keeps what comes first until the budget is used up and never lets go of it: with a fresh order
/// in every epoch, no picture is a better choice than another.
class picture_cache {
 public:
  picture_cache(index pictures, std::size_t budget)
      : budget_(budget), kept_(budget > 0 ? std::size_t(pictures) : std::size_t(0)) {}

  std::shared_ptr<const image> find(index i) {
    if (kept_.empty()) return nullptr;
    const std::lock_guard lock(mutex_);
    return kept_[std::size_t(i)];
  }
  void keep(index i, std::shared_ptr<const image> p) {
    if (kept_.empty()) return;
    const std::lock_guard lock(mutex_);
    if (kept_[std::size_t(i)] || used_ + p->bytes() > budget_) return;
    used_ += p->bytes();
    kept_[std::size_t(i)] = std::move(p);
  }
  std::size_t bytes() {
    const std::lock_guard lock(mutex_);
    return used_;
  }

 private:
  std::mutex mutex_;
  std::size_t budget_, used_ = 0;
  std::vector<std::shared_ptr<const image>> kept_;
};

}  // namespace selfpatch
