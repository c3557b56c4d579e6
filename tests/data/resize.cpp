#include <selfpatch/data/resize.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

namespace sp = selfpatch;
using made::noise;

namespace {

/// The definition, sample by sample: columns first, then rows, 8 bits between.
sp::image by_definition(const sp::image& from, const sp::box& b, int width, int height,
                        sp::filter f) {
  const auto sum = [](const sp::resampling& r, int x, const auto& sample) {
    std::int64_t s = 1 << 21;
    for (int t = 0; t < r.count[std::size_t(x)]; ++t)
      s += std::int64_t(r.weights[std::size_t(x * r.taps + t)]) *
           sample(r.first[std::size_t(x)] + t);
    return std::uint8_t(std::clamp<std::int64_t>(s >> 22, 0, 255));
  };
  const sp::resampling across = sp::resampling_weights(b.width, width, f);
  const sp::resampling down = sp::resampling_weights(b.height, height, f);
  const int c = from.channels;
  sp::image narrow(width, b.height, c), out(width, height, c);
  for (int y = 0; y < b.height; ++y)
    for (int x = 0; x < width * c; ++x)
      narrow.row(y)[x] =
          sum(across, x / c, [&](int i) { return from.row(b.top + y)[(b.left + i) * c + x % c]; });
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width * c; ++x)
      out.row(y)[x] = sum(down, y, [&](int i) { return narrow.row(i)[x]; });
  return out;
}

std::vector<std::int32_t> row(const sp::resampling& r, int x) {
  const auto first = r.weights.begin() + std::ptrdiff_t(x) * r.taps;
  return {first, first + r.count[std::size_t(x)]};
}

}  // namespace

TEST_CASE("weights of a resampling are the recorded ones", "[data][resize]") {
  using k = std::vector<std::int32_t>;
  const auto up = sp::resampling_weights(5, 7, sp::filter::bicubic);
  CHECK(row(up, 0) == k{4438632, -244328});
  CHECK(row(up, 1) == k{1847353, 2625797, -278846});
  CHECK(row(up, 6) == k{-244328, 4438632});
  CHECK(up.first[6] == 3);
  const auto down = sp::resampling_weights(300, 96, sp::filter::bicubic);
  CHECK(down.first[48] == 145);
  CHECK(row(down, 48) == k{-2272, -60099, -98679, 14484, 459489, 1033726, 1341251, 1094872, 532321,
                           49509, -95575, -68681, -6042});
  CHECK(row(sp::resampling_weights(10, 224, sp::filter::bicubic), 112) ==
        k{-249942, 2230112, 2487435, -273301});
}

TEST_CASE("weights sum to one, up to rounding", "[data][resize]") {
  for (const auto f : {sp::filter::bicubic, sp::filter::bilinear})
    for (const auto& [from, to] :
         {std::pair{7, 3}, {3, 7}, {640, 224}, {1, 9}, {9, 1}, {224, 223}}) {
      const auto r = sp::resampling_weights(from, to, f);
      for (int x = 0; x < to; ++x) {
        int sum = 0;
        for (const int k : row(r, x)) sum += k;
        CHECK(std::abs(sum - (1 << 22)) <= r.taps);
        CHECK((r.first[std::size_t(x)] >= 0 &&
               r.first[std::size_t(x)] + r.count[std::size_t(x)] <= from));
      }
    }
}

TEST_CASE("resizing equals its definition for parts, one channel and both filters",
          "[data][resize]") {
  for (const int channels : {1, 3}) {
    const sp::image p = noise(83, 61, channels);
    for (const sp::box& b : {sp::box{0, 0, 61, 83}, {5, 7, 40, 31}, {60, 82, 1, 1}, {0, 10, 61, 2}})
      for (const auto& [w, h] : {std::pair{24, 24}, {96, 96}, {1, 1}, {83, 20}, {200, 61}})
        for (const auto f : {sp::filter::bicubic, sp::filter::bilinear}) {
          const sp::image made = sp::resize(p, b, w, h, f);
          INFO(b.width << " x " << b.height << " to " << w << " x " << h);
          CHECK(made == by_definition(p, b, w, h, f));
        }
  }
}

TEST_CASE("a side that stays is copied", "[data][resize]") {
  const sp::image p = noise(40, 30, 3);
  CHECK(sp::resize(p, 40, 30) == p);
  CHECK(sp::resize(p, {3, 4, 20, 10}, 10, 20) == sp::crop(p, {3, 4, 20, 10}));
}

TEST_CASE("pixels outside the part are never read", "[data][resize]") {
  sp::image p = noise(50, 50, 3), q = noise(50, 50, 3, 1);
  const sp::box part{10, 12, 20, 25};
  for (int y = 0; y < part.height; ++y) std::copy_n(p.row(10 + y) + 36, 75, q.row(10 + y) + 36);
  CHECK(sp::resize(p, part, 60, 33) == sp::resize(q, part, 60, 33));
}

TEST_CASE("a flat picture stays flat at any size", "[data][resize]") {
  const sp::image p = made::flat(31, 17, {3, 128, 255});
  for (const int side : {1, 2, 16, 50})
    CHECK(sp::resize(p, side, side) == made::flat(side, side, {3, 128, 255}));
}

TEST_CASE("the shorter side is set, the longer in proportion", "[data][resize]") {
  const auto size = [](const sp::image& p, int side) {
    return sp::dimensions(sp::resize_shorter(p, side));
  };
  CHECK(size(noise(300, 236, 1), 256) == "325 x 256");
  CHECK(size(noise(20, 33, 1), 10) == "10 x 16");
  CHECK(size(noise(300, 1, 1), 1) == "300 x 1");
}

TEST_CASE("a box outside the picture is refused", "[data][resize]") {
  const sp::image p = noise(10, 10, 3);
  CHECK_THROWS_AS(sp::resize(p, {0, 5, 5, 6}, 4, 4), sp::error);
  CHECK_THROWS_AS(sp::resize(p, {-1, 0, 5, 5}, 4, 4), sp::error);
  CHECK_THROWS_AS(sp::crop(p, {0, 0, 0, 5}), sp::error);
  CHECK_THROWS_AS(sp::resize(p, 0, 4), sp::error);
  CHECK_THROWS_AS(sp::center_crop(p, 11), sp::error);
  CHECK(sp::center_crop(p, 4) == sp::crop(p, {3, 3, 4, 4}));
}
