#include <selfpatch/data/augment.hpp>

#include "data/pictures.hpp"
#include "testing.hpp"

namespace sp = selfpatch;
using made::noise;

namespace {

/// Through memory after every operation, where nothing can be fused.
float product(float a, float b) {
  volatile float p = a * b;
  return p;
}

int blended(int from, int to, float factor) {
  if (factor == 0) return from;
  if (factor == 1) return to;
  const float t = float(from) + product(factor, float(to - from));
  return factor > 0 && factor < 1 ? int(t) : t <= 0 ? 0 : t >= 255 ? 255 : int(t);
}

/// The definition of blur on one line.
std::vector<std::uint8_t> box_line(std::vector<std::uint8_t> line, const sp::box_blur& b) {
  const int n = int(line.size());
  const auto at = [&](int x) { return std::uint32_t(line[std::size_t(std::clamp(x, 0, n - 1))]); };
  std::vector<std::uint8_t> out(line.size());
  for (int x = 0; x < n; ++x) {
    std::uint32_t inner = 0;
    for (int d = -b.whole; d <= b.whole; ++d) inner += at(x + d);
    const std::uint32_t edges = at(x - b.whole - 1) + at(x + b.whole + 1);
    out[std::size_t(x)] =
        std::uint8_t((b.weight * inner + b.edge_weight * edges + (1u << 23)) >> 24);
  }
  return out;
}

sp::image blurred(sp::image p, float radius) {
  const auto b = sp::box_blur::of_deviation(radius);
  for (int c = 0; c < p.channels; ++c) {
    for (int y = 0; y < p.height; ++y) {
      std::vector<std::uint8_t> line;
      for (int x = 0; x < p.width; ++x) line.push_back(p.row(y)[x * p.channels + c]);
      for (int pass = 0; pass < 3; ++pass) line = box_line(line, b);
      for (int x = 0; x < p.width; ++x) p.row(y)[x * p.channels + c] = line[std::size_t(x)];
    }
    for (int x = 0; x < p.width; ++x) {
      std::vector<std::uint8_t> line;
      for (int y = 0; y < p.height; ++y) line.push_back(p.row(y)[x * p.channels + c]);
      for (int pass = 0; pass < 3; ++pass) line = box_line(line, b);
      for (int y = 0; y < p.height; ++y) p.row(y)[x * p.channels + c] = line[std::size_t(y)];
    }
  }
  return p;
}

}  // namespace

TEST_CASE("blend rounds after the product and after the sum, for every pair of bytes",
          "[data][augment]") {
  sp::random draw(0, sp::purpose::test);
  std::vector<float> factors{0.0f, 1.0f, 0.6f, 1.4f, 0.8f, 1.2f, 0.5f, 2.0f};
  while (factors.size() < 60) factors.push_back(float(draw.uniform(0.6, 1.4)));
  std::size_t wrong = 0;
  for (const float f : factors)
    for (int d = 0; d < 256; ++d)
      for (int i = 0; i < 256; ++i) wrong += sp::blend(d, i, f) != blended(d, i, f);
  CHECK(wrong == 0);
}

TEST_CASE("brightness, contrast and saturation blend with what they should", "[data][augment]") {
  for (const float f : {0.0f, 0.61f, 0.999f, 1.0f, 1.37f}) {
    const sp::image p = noise(33, 21, 3);
    sp::image bright = p, contrast = p, saturated = p;
    sp::adjust_brightness(bright, f);
    sp::adjust_contrast(contrast, f);
    sp::adjust_saturation(saturated, f);
    double sum = 0;
    for (std::size_t i = 0; i < p.bytes(); i += 3)
      sum += sp::luma(p.pixels[i], p.pixels[i + 1], p.pixels[i + 2]);
    const int mean = int(sum / (33 * 21) + 0.5);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < p.bytes(); ++i) {
      const std::uint8_t* v = p.pixels.data() + i / 3 * 3;
      wrong += bright.pixels[i] != blended(0, p.pixels[i], f);
      wrong += contrast.pixels[i] != blended(mean, p.pixels[i], f);
      wrong += saturated.pixels[i] != blended(sp::luma(v[0], v[1], v[2]), p.pixels[i], f);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("the constants of a blur are the recorded ones", "[data][augment]") {
  struct recorded {
    float deviation, radius;
    int whole;
    std::uint32_t weight, edge_weight;
  };
  for (const recorded& r : {recorded{0.1f, 0.0016722409f, 0, 16721291, 27962},
                            {0.5f, 0.045454547f, 0, 15379114, 699051},
                            {1.0f, 0.25000003f, 0, 11184811, 2796202},
                            {1.2f, 0.4615385f, 0, 8724152, 4026532},
                            {1.41421353816986f, 1.0f, 1, 5592405, 0},
                            {2.0f, 1.375f, 1, 4473924, 1677722},
                            {5.0f, 4.45f, 4, 1694668, 762602}}) {
    const auto b = sp::box_blur::of_deviation(r.deviation);
    CHECK(b.radius == Approx(r.radius).epsilon(1e-6));
    CHECK(b.whole == r.whole);
    CHECK(b.weight == r.weight);
    CHECK(b.edge_weight == r.edge_weight);
  }
}

TEST_CASE("blur equals three passes across and three down", "[data][augment]") {
  for (const float radius : {0.1f, 0.7f, 1.0f, 1.4142135f, 1.42f, 2.0f, 5.0f, 30.0f})
    for (const auto& [w, h, c] :
         {std::tuple{40, 23, 3}, {5, 7, 1}, {1, 1, 3}, {1, 9, 3}, {9, 1, 1}}) {
      sp::image p = noise(w, h, c);
      const sp::image expected = blurred(p, radius);
      sp::blur(p, radius);
      INFO("radius " << radius << ", " << w << " x " << h);
      CHECK(p == expected);
    }
  sp::image p = noise(4, 4, 3);
  CHECK_THROWS_AS(sp::blur(p, 0), sp::error);
  CHECK_THROWS_AS(sp::blur(p, std::numeric_limits<float>::quiet_NaN()), sp::error);
}

TEST_CASE("the fixed blur weighs 1 2 1 both ways and keeps flat pictures", "[data][augment]") {
  sp::image p(3, 3, 1);
  p.pixels = {0, 0, 0, 0, 160, 0, 0, 0, 0};
  sp::blur_121(p);
  CHECK(p.pixels == std::vector<std::uint8_t>{10, 20, 10, 20, 40, 20, 10, 20, 10});
  sp::image flat = made::flat(5, 4, {0, 77, 255});
  sp::blur_121(flat);
  CHECK(flat == made::flat(5, 4, {0, 77, 255}));
}

TEST_CASE("flip reverses rows, grey is luma, solarize inverts from the threshold on",
          "[data][augment]") {
  sp::image p(3, 1, 3);
  p.pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  sp::flip(p);
  CHECK(p.pixels == std::vector<std::uint8_t>{7, 8, 9, 4, 5, 6, 1, 2, 3});
  sp::image q = made::flat(2, 2, {255, 0, 0});
  sp::make_grey(q);
  CHECK(q == made::flat(2, 2, {76, 76, 76}));
  sp::image s(4, 1, 1);
  s.pixels = {0, 127, 128, 255};
  sp::solarize(s);
  CHECK(s.pixels == std::vector<std::uint8_t>{0, 127, 127, 0});
}

TEST_CASE("a network sees normalized planes", "[data][augment]") {
  sp::image p(2, 1, 3);
  p.pixels = {0, 128, 255, 10, 20, 30};
  float chw[6];
  sp::to_tensor(p, {}, chw);
  CHECK(chw[0] == (0.0f / 255 - 0.485f) / 0.229f);
  CHECK(chw[1] == (10.0f / 255 - 0.485f) / 0.229f);
  CHECK(chw[2] == (128.0f / 255 - 0.456f) / 0.224f);
  CHECK(chw[5] == (30.0f / 255 - 0.406f) / 0.225f);
  sp::image one(1, 1, 1);
  one.pixels = {51};
  sp::to_tensor(one, {{0.5f, 9, 9}, {0.25f, 9, 9}}, chw);
  CHECK(chw[0] == Approx((0.2 - 0.5) / 0.25));
}
