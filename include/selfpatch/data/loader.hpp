// loader: batches of views, prepared ahead by threads of its own.
//
//   loader load(photos, {.batch = 64, .seed = 1, .threads = 2});
//   const batch& b = load.next();       // b.global (2 B, C, S, S), b.local (L B, C, s, s)
//
// Row view * B + image of a tensor is one view of one picture.
//
// An epoch is a permutation of all pictures, drawn from (seed, epoch); what is left after the last
// full batch is dropped. Step s of a run is the same whatever the number of threads, how far they
// run ahead, the size of the cache or where the run was resumed.
//
// A picture that cannot be read is counted, named, and replaced by the next readable one in the
// order of the source (after the last comes the first). The replacement depends on the sample
// alone; its views are drawn for the sample it stands for.
#pragma once

#include <selfpatch/core/tensor.hpp>
#include <selfpatch/data/multi_crop.hpp>
#include <selfpatch/data/picture_cache.hpp>
#include <selfpatch/data/source.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace selfpatch {

struct loader_options {
  index batch = 256;      ///< pictures per step, of all processes together
  index share_first = 0;  ///< this process takes pictures share_first .. + share of every batch
  index share = -1;       ///< -1: all
  index pieces = 1;  ///< a share comes in this many batches of equal size (gradient accumulation)
  multi_crop views{};
  std::uint64_t seed = 0;
  int channels = 3;             ///< 1 or 3; pictures of the other kind are converted
  int threads = 1;              ///< 0: pictures are prepared inside next()
  int ahead = 2;                ///< batches prepared ahead
  std::size_t cache_bytes = 0;  ///< decoded pictures are kept as long as they fit
  int cache_side = 0;           ///< longer shorter sides are reduced to this when decoded; 0: never
  double max_bad = 0.001;       ///< unreadable share tolerated; one picture always is, unless 0
};

using picture_tensor = tensor<float, shape<dyn, dyn, dyn, dyn>>;

struct batch {
  index step = 0, epoch = 0, piece = 0;
  std::vector<index> samples;    ///< the B pictures, by number in the source
  picture_tensor global;         ///< (2 B, C, S, S)
  picture_tensor local;          ///< (locals * B, C, s, s)
  double wait = 0;               ///< seconds next() waited for it
  std::vector<std::string> bad;  ///< pictures newly found unreadable: a line each, name and reason
};

/// The order of an epoch: a permutation of 0 .. pictures-1, 1 <= pictures < 2^32.
inline std::vector<std::uint32_t> epoch_order(index pictures, std::uint64_t seed, index epoch) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(pictures));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = std::uint32_t(i);
  random draw(seed, purpose::shuffle, epoch);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draw.below(i)]);
  return order;
}

class loader {
 public:
  /// Starts at step `first_step` of the run. Throws error where a batch is larger than the data or
  /// the options contradict each other.
  loader(source from, loader_options options, index first_step = 0)
      : from_(std::move(from)),
        options_(checked(std::move(options), from_.size())),
        cache_(from_.size(), options_.cache_bytes),
        steps_per_epoch_(from_.size() / options_.batch) {
    for (int i = 0; i < std::max(1, options_.ahead + 1); ++i)
      slots_.push_back(std::make_unique<slot>(*this));
    start(first_step);
  }
  loader(const loader&) = delete;
  loader& operator=(const loader&) = delete;
  ~loader() { stop(); }

  index steps_per_epoch() const { return steps_per_epoch_; }
  /// Pictures in the batches that next() hands out.
  index pictures() const { return options_.share / options_.pieces; }
  /// Unreadable pictures met so far.
  index bad() const { return index(bad_.size()); }
  std::size_t cached_bytes() { return cache_.bytes(); }

  /// The next batch; it stays valid until the next call. Throws error when more pictures are
  /// unreadable than max_bad allows, again at every call, and passes on what a source throws beside
  /// selfpatch::error.
  const batch& next() {
    if (handed_out_) release();
    slot& s = *slots_[std::size_t(next_piece_) % slots_.size()];
    const auto since = std::chrono::steady_clock::now();
    wait_for(s);
    s.out.wait = std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
    count_bad(s);
    if (s.failure) std::rethrow_exception(s.failure);
    handed_out_ = true;
    return s.out;
  }

  /// Goes on at another step; what was prepared ahead is thrown away.
  void seek(index step) {
    stop();
    start(step);
  }

 private:
  using bad_picture = std::pair<index, std::string>;  ///< sample and message
  using order_ptr = std::shared_ptr<const std::vector<std::uint32_t>>;

  /// A batch being prepared. `left` counts its pictures not yet done.
  struct slot {
    batch out;
    order_ptr order;
    index left = 0;
    std::vector<bad_picture> bad;
    std::exception_ptr failure;

    explicit slot(const loader& of) {
      const multi_crop& v = of.options_.views;
      const index b = of.pictures(), c = of.options_.channels;
      out.samples.resize(std::size_t(b));
      const auto squares = [&](index rows, int side) {
        return picture_tensor(picture_tensor::shape_type(rows, c, side, side));
      };
      out.global = squares(2 * b, v.global1.size);
      out.local = squares(v.locals * b, v.local.size);
    }
  };

  static loader_options checked(loader_options o, index pictures) {
    if (o.share < 0) o.share = o.batch - o.share_first;
    expects(o.batch >= 1, "loader: batch is 1 or more");
    expects(o.share >= 1 && o.share_first >= 0 && o.share_first + o.share <= o.batch,
            "loader: a share lies inside the batch");
    expects(o.pieces >= 1 && o.share % o.pieces == 0,
            "loader: a share divides evenly into its pieces");
    expects(o.channels == 1 || o.channels == 3, "loader: channels is 1 or 3");
    expects(o.views.locals >= 0 && o.threads >= 0 && o.ahead >= 0, "loader: counts are 0 or more");
    expects(pictures < index(1) << 32, "loader: fewer than 2^32 pictures");
    expects(o.views.global1.size == o.views.global2.size,
            "multi_crop: both global views have the same size");
    o.views.each([](const view_recipe& v) { check(v); });
    if (o.batch > pictures)
      throw error(
          problem{.what = "the batch is larger than the data",
                  .expected = "at most " + std::to_string(pictures) + " pictures in a batch",
                  .found = std::to_string(o.batch),
                  .hint = "lower --batch or add pictures"});
    return o;
  }

  index allowed_bad() const {
    if (options_.max_bad <= 0) return 0;
    return std::max<index>(1, index(options_.max_bad * double(from_.size())));
  }

  // Who does what.

  void start(index step) {
    expects(step >= 0, "loader: a step is 0 or more");
    next_piece_ = next_task_piece_ = step * options_.pieces;
    next_task_image_ = 0;
    handed_out_ = stopping_ = false;
    for (index p = next_piece_; p < next_piece_ + index(slots_.size()); ++p) prepare(p);
    for (int t = 0; t < options_.threads; ++t) threads_.emplace_back([this] { work(); });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_to_do_.notify_all();
    for (auto& t : threads_) t.join();
    threads_.clear();
  }

  /// Makes the slot of a piece ready to be filled; the mutex is held or no thread runs.
  void prepare(index piece) {
    slot& s = *slots_[std::size_t(piece) % slots_.size()];
    s.out.step = piece / options_.pieces;
    s.out.piece = piece % options_.pieces;
    s.out.epoch = s.out.step / steps_per_epoch_;
    s.order = order_of(s.out.epoch);
    const index in_epoch = s.out.step % steps_per_epoch_;
    const index first = in_epoch * options_.batch + options_.share_first + s.out.piece * pictures();
    for (index i = 0; i < pictures(); ++i)
      s.out.samples[std::size_t(i)] = index((*s.order)[std::size_t(first + i)]);
    s.left = pictures();
    s.bad.clear();
    s.failure = nullptr;
  }

  order_ptr order_of(index epoch) {
    if (epoch != order_epoch_ || !order_) {
      order_ = std::make_shared<const std::vector<std::uint32_t>>(
          epoch_order(from_.size(), options_.seed, epoch));
      order_epoch_ = epoch;
    }
    return order_;
  }

  /// The batch handed out last may be overwritten.
  void release() {
    {
      const std::lock_guard lock(mutex_);
      prepare(next_piece_ + index(slots_.size()));
      ++next_piece_;
    }
    handed_out_ = false;
    work_to_do_.notify_all();
  }

  void wait_for(slot& s) {
    while (options_.threads == 0 && s.left > 0) fill(s, pictures() - s.left);
    std::unique_lock lock(mutex_);
    batch_done_.wait(lock, [&] { return s.left == 0; });
  }

  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      work_to_do_.wait(
          lock, [&] { return stopping_ || next_task_piece_ < next_piece_ + index(slots_.size()); });
      if (stopping_) return;
      slot& s = *slots_[std::size_t(next_task_piece_) % slots_.size()];
      const index i = next_task_image_;
      if (++next_task_image_ == pictures()) {
        next_task_image_ = 0;
        ++next_task_piece_;
      }
      lock.unlock();
      fill(s, i);
    }
  }

  // One picture.

  void fill(slot& s, index i) {
    std::vector<bad_picture> bad;
    std::exception_ptr failure;
    try {
      if (const auto picture = readable(s.out.samples[std::size_t(i)], bad))
        make_views(s, i, *picture);
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    for (auto& one : bad) s.bad.push_back(std::move(one));
    if (failure) s.failure = failure;
    if (--s.left == 0) batch_done_.notify_one();
  }

  /// The picture or its replacement; none where more are unreadable than allowed, which count_bad
  /// will say.
  std::shared_ptr<const image> readable(index sample, std::vector<bad_picture>& bad) {
    for (index j = sample; index(bad.size()) <= allowed_bad(); j = (j + 1) % from_.size()) {
      if (auto kept = cache_.find(j)) return kept;
      try {
        image p = with_channels(detail::naming(from_.name(j), [&] { return from_.picture(j); }),
                                options_.channels);
        const int side = options_.cache_side;
        if (side > 0 && std::min(p.width, p.height) > side) p = resize_shorter(p, side);
        auto picture = std::make_shared<const image>(std::move(p));
        cache_.keep(j, picture);
        return picture;
      } catch (const error& e) {
        bad.emplace_back(j, e.what());
        if (index(bad.size()) == from_.size()) return nullptr;
      }
    }
    return nullptr;
  }

  void make_views(slot& s, index i, const image& picture) {
    const multi_crop& views = options_.views;
    for (int v = 0; v < views.views(); ++v) {
      picture_tensor& to = v < 2 ? s.out.global : s.out.local;
      const index row = (v < 2 ? v : v - 2) * pictures() + i;
      float* chw = to.data() + row * (to.size() / to.extent(0));
      const view_key key{options_.seed, s.out.epoch, s.out.samples[std::size_t(i)], v};
      make_view(picture, views.recipe(v), views.normalization, key, chw);
    }
  }

  /// In an order that does not depend on the threads.
  void count_bad(slot& s) {
    std::sort(s.bad.begin(), s.bad.end());
    s.out.bad.clear();
    for (auto& [sample, message] : s.bad)
      if (bad_.insert(sample).second) s.out.bad.push_back(message);
    if (bad() <= allowed_bad() && bad() < from_.size()) return;
    throw error(problem{.what = "too many unreadable pictures",
                        .expected = "at most " + std::to_string(allowed_bad()) + " of " +
                                    std::to_string(from_.size()),
                        .found = std::to_string(bad()) + ", one of them: " + s.bad.front().second,
                        .hint = "remove them or raise --max-bad"});
  }

  source from_;
  loader_options options_;
  picture_cache cache_;
  index steps_per_epoch_;
  std::vector<std::unique_ptr<slot>> slots_;
  order_ptr order_;
  index order_epoch_ = -1;

  std::mutex mutex_;
  std::condition_variable work_to_do_, batch_done_;
  index next_piece_ = 0;                             ///< handed out next, or now
  index next_task_piece_ = 0, next_task_image_ = 0;  ///< taken by the next free thread
  bool stopping_ = false, handed_out_ = false;
  std::vector<std::thread> threads_;
  std::set<index> bad_;
};

}  // namespace selfpatch
