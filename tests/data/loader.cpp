#include <selfpatch/data/loader.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

#include <algorithm>
#include <bit>

namespace sp = selfpatch;

namespace {

/// Small pictures in memory; those in `broken` cannot be read.
struct pictures {
  sp::index count = 10;
  std::vector<sp::index> broken{};
  bool fault = false;  ///< something else than an unreadable file goes wrong

  sp::index size() const { return count; }
  std::string name(sp::index i) const { return "picture " + std::to_string(i); }
  sp::image picture(sp::index i) const {
    if (fault) throw std::bad_alloc();
    if (std::find(broken.begin(), broken.end(), i) != broken.end())
      throw sp::error(sp::problem{.what = "damaged"});
    return made::noise(20 + int(i % 3), 18, 3, std::uint64_t(i));
  }
};

sp::multi_crop tiny_views() {
  sp::multi_crop v = sp::small_crops();
  v.global1.size = v.global2.size = 16;
  v.local.size = 8;
  v.locals = 2;
  return v;
}

sp::loader_options options(sp::index batch, int threads = 1) {
  return {.batch = batch, .views = tiny_views(), .seed = 7, .threads = threads};
}

std::uint64_t hash_of(const sp::batch& b) {
  std::uint64_t h = sp::mix(std::uint64_t(b.step) << 32 | std::uint64_t(b.piece));
  for (const sp::index i : b.samples) h = sp::mix(h ^ std::uint64_t(i));
  for (const auto* t : {&b.global, &b.local})
    for (const float x : t->values()) h = sp::mix(h ^ std::bit_cast<std::uint32_t>(x));
  return h;
}

std::vector<std::uint64_t> hashes(sp::loader& load, int steps) {
  std::vector<std::uint64_t> all;
  for (int i = 0; i < steps; ++i) all.push_back(hash_of(load.next()));
  return all;
}

}  // namespace

TEST_CASE("an epoch visits every picture once, in another order than the next", "[data][loader]") {
  sp::loader load(pictures{12}, options(4));
  CHECK(load.steps_per_epoch() == 3);
  std::vector<std::vector<sp::index>> orders(2);
  for (int step = 0; step < 6; ++step) {
    const sp::batch& b = load.next();
    CHECK(b.step == step);
    CHECK(b.epoch == step / 3);
    auto& order = orders[std::size_t(b.epoch)];
    order.insert(order.end(), b.samples.begin(), b.samples.end());
  }
  CHECK_FALSE(orders[0] == orders[1]);
  for (auto& order : orders) {
    std::sort(order.begin(), order.end());
    for (sp::index i = 0; i < 12; ++i) CHECK(order[std::size_t(i)] == i);
  }
}

TEST_CASE("what is left after the last full batch is dropped", "[data][loader]") {
  sp::loader load(pictures{11}, options(4));
  CHECK(load.steps_per_epoch() == 2);
  load.next(), load.next();
  CHECK(load.next().epoch == 1);
}

TEST_CASE("batches have the same bits for any number of threads", "[data][loader]") {
  sp::loader alone(pictures{10}, options(3, 0));
  const auto expected = hashes(alone, 8);
  for (const int threads : {1, 2, 3, 4})
    for (const int ahead : {0, 1, 5}) {
      auto o = options(3, threads);
      o.ahead = ahead;
      sp::loader load(pictures{10}, o);
      CHECK(hashes(load, 8) == expected);
    }
}

TEST_CASE("a run resumed at any step goes on as if it had not stopped", "[data][loader]") {
  sp::loader whole(pictures{10}, options(3, 2));
  const auto expected = hashes(whole, 9);
  for (int step = 0; step < 9; ++step) {
    sp::loader resumed(pictures{10}, options(3, 1), step);
    CHECK(hashes(resumed, 1)[0] == expected[std::size_t(step)]);
    whole.seek(step);
    CHECK(hashes(whole, 1)[0] == expected[std::size_t(step)]);
  }
}

TEST_CASE("rows are views of pictures: row view * B + image", "[data][loader]") {
  sp::loader load(pictures{10}, options(3));
  const sp::batch& b = load.next();
  CHECK(b.global.shape().extents() == std::array<sp::index, 4>{6, 3, 16, 16});
  CHECK(b.local.shape().extents() == std::array<sp::index, 4>{6, 3, 8, 8});
  const auto views = tiny_views();
  for (int v = 0; v < 4; ++v)
    for (sp::index i = 0; i < 3; ++i) {
      const sp::index sample = b.samples[std::size_t(i)];
      const auto& t = v < 2 ? b.global : b.local;
      const sp::index per_row = t.size() / t.extent(0), row = (v < 2 ? v : v - 2) * 3 + i;
      std::vector<float> chw(static_cast<std::size_t>(per_row));
      sp::make_view(pictures{}.picture(sample), views.recipe(v), views.normalization,
                    {7, 0, sample, v}, chw.data());
      CHECK(std::equal(chw.begin(), chw.end(), t.data() + row * per_row));
    }
}

TEST_CASE("shares and pieces cut a batch without changing it", "[data][loader]") {
  sp::loader whole(pictures{10}, options(8));
  const std::vector<sp::index> expected = whole.next().samples;
  std::vector<sp::index> put_together;
  for (const sp::index first : {0, 4}) {
    auto o = options(8);
    o.share_first = first, o.share = 4, o.pieces = 2;
    sp::loader part(pictures{10}, o);
    CHECK(part.pictures() == 2);
    for (int piece = 0; piece < 2; ++piece) {
      const sp::batch& b = part.next();
      CHECK((b.step == 0 && b.piece == piece));
      put_together.insert(put_together.end(), b.samples.begin(), b.samples.end());
    }
    CHECK(part.next().step == 1);
  }
  CHECK(put_together == expected);
}

TEST_CASE("a cache changes nothing but the time", "[data][loader]") {
  sp::loader plain(pictures{10}, options(3, 2));
  const auto expected = hashes(plain, 8);
  for (const std::size_t budget : {std::size_t(3000), std::size_t(1) << 20}) {
    auto o = options(3, 2);
    o.cache_bytes = budget;
    sp::loader load(pictures{10}, o);
    CHECK(hashes(load, 8) == expected);
    CHECK(load.cached_bytes() > 0);
    CHECK(load.cached_bytes() <= budget);
  }
}

TEST_CASE("reduced pictures give other views, the same with a cache and without",
          "[data][loader]") {
  sp::loader plain(pictures{10}, options(3));
  auto o = options(3);
  o.cache_side = 9;
  sp::loader reduced(pictures{10}, o);
  o.cache_bytes = 1 << 20;
  sp::loader kept(pictures{10}, o);
  const auto expected = hashes(reduced, 7);
  CHECK(hashes(kept, 7) == expected);
  CHECK_FALSE(hashes(plain, 7) == expected);
  CHECK(kept.cached_bytes() < 10 * 9 * 12 * 3);
}

TEST_CASE("one channel is made of color where a network wants one", "[data][loader]") {
  auto o = options(2);
  o.channels = 1;
  sp::loader load(pictures{4}, o);
  CHECK(load.next().global.extent(1) == 1);
}

TEST_CASE("unreadable pictures are named once and replaced by the next, whoever reads them",
          "[data][loader]") {
  std::vector<std::uint64_t> expected;
  for (const int threads : {0, 1, 3}) {
    auto o = options(5, threads);
    o.max_bad = 0.4;
    sp::loader load(pictures{10, {3, 4, 9}}, o);
    std::vector<std::string> named;
    std::vector<std::uint64_t> all;
    for (int step = 0; step < 6; ++step) {
      const sp::batch& b = load.next();
      named.insert(named.end(), b.bad.begin(), b.bad.end());
      all.push_back(hash_of(b));
    }
    std::sort(named.begin(), named.end());
    CHECK(named == std::vector<std::string>{"damaged: picture 3", "damaged: picture 4",
                                            "damaged: picture 9"});
    CHECK(load.bad() == 3);
    if (expected.empty()) expected = all;
    CHECK(all == expected);
  }
}

TEST_CASE("a replacement is the next readable picture, seen as the sample it stands for",
          "[data][loader]") {
  auto o = options(10);
  o.max_bad = 0.5;
  sp::loader load(pictures{10, {8, 9}}, o);
  const sp::batch& b = load.next();
  const auto at = std::find(b.samples.begin(), b.samples.end(), 8) - b.samples.begin();
  REQUIRE(at < 10);
  std::vector<float> chw(3 * 16 * 16);
  const auto views = tiny_views();
  sp::make_view(pictures{}.picture(0), views.global1, views.normalization, {7, 0, 8, 0},
                chw.data());
  CHECK(std::equal(chw.begin(), chw.end(), b.global.data() + at * 3 * 16 * 16));
}

TEST_CASE("too many unreadable pictures end the run with a name, again and again",
          "[data][loader]") {
  for (const int threads : {0, 2}) {
    auto o = options(10, threads);
    o.max_bad = 0.2;
    sp::loader load(pictures{10, {1, 2, 5}}, o);
    CHECK_THROWS_WITH(
        load.next(), contains("at most 2 of 10") && contains("picture 1") && contains("--max-bad"));
    CHECK_THROWS_AS(load.next(), sp::error);
  }
}

TEST_CASE("one unreadable picture is always tolerated unless none is", "[data][loader]") {
  auto o = options(10);
  sp::loader load(pictures{10, {4}}, o);
  CHECK(load.next().bad.size() == 1);
  o.max_bad = 0;
  sp::loader strict(pictures{10, {4}}, o);
  CHECK_THROWS_WITH(strict.next(), contains("at most 0 of 10"));
}

TEST_CASE("data of which nothing can be read is an error even where all may be bad",
          "[data][loader]") {
  auto o = options(2, 2);
  o.max_bad = 1;
  sp::loader load(pictures{3, {0, 1, 2}}, o);
  CHECK_THROWS_WITH(load.next(), contains("unreadable"));
}

TEST_CASE("what is no fault of a picture is passed on", "[data][loader]") {
  for (const int threads : {0, 2}) {
    sp::loader load(pictures{.fault = true}, options(2, threads));
    CHECK_THROWS_AS(load.next(), std::bad_alloc);
  }
}

TEST_CASE("a loader can be left at any time", "[data][loader]") {
  for (int taken = 0; taken < 4; ++taken) {
    sp::loader load(pictures{50}, options(5, 3));
    for (int i = 0; i < taken; ++i) load.next();
  }
}

TEST_CASE("options that contradict the data or each other are refused", "[data][loader]") {
  CHECK_THROWS_WITH(sp::loader(pictures{10}, options(11)),
                    contains("at most 10 pictures") && contains("found 11"));
  const auto refused = [](auto change) {
    auto o = options(4);
    change(o);
    CHECK_THROWS_AS(sp::loader(pictures{10}, o), sp::error);
  };
  refused([](auto& o) { o.batch = 0; });
  refused([](auto& o) { o.share_first = 4; });
  refused([](auto& o) { o.share = 5; });
  refused([](auto& o) { o.pieces = 3; });
  refused([](auto& o) { o.channels = 2; });
  refused([](auto& o) { o.views.global2.size = 8; });
  refused([](auto& o) { o.views.local.area_low = -1; });
}
