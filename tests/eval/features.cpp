#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/eval/features.hpp>
#include <selfpatch/nn/init.hpp>
#include <selfpatch/nn/vit.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

const sp::network_input eight{.patch = 8};

/// A picture in which every pixel tells where it is.
sp::image numbered(int width, int height, int channels = 3) {
  sp::image p(width, height, channels);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) p.row(y)[x * channels] = std::uint8_t(16 * y + x);
  return p;
}

/// Pictures of given widths; number `unreadable` cannot be read.
struct widths {
  std::vector<int> all;
  sp::index unreadable = -1;

  sp::index size() const { return sp::index(all.size()); }
  std::string name(sp::index i) const { return "picture " + std::to_string(i); }
  sp::image picture(sp::index i) const {
    if (i == unreadable) throw sp::error("it is torn");
    return numbered(all[std::size_t(i)], 8);
  }
};

/// One token a patch, after a prefix of one: the number of the image in its batch, and the batch's
/// size.
auto counting = [](const auto& batch) {
  const sp::index B = batch.extent(0), N = batch.extent(3) / 8;
  sp::tensor<float, sp::shape<sp::dyn, sp::dyn, sp::dyn>> tokens(
      sp::shape<sp::dyn, sp::dyn, sp::dyn>(B, 1 + N, 2));
  for (sp::index r = 0; r < B * (1 + N); ++r) {
    rows(tokens).row(r)[0] = float(r / (1 + N));
    rows(tokens).row(r)[1] = float(B);
  }
  return tokens;
};

}  // namespace

TEST_CASE("a picture keeps its size but for what is beyond the last whole patch",
          "[eval][features]") {
  const sp::image p = sp::prepared(numbered(21, 17), eight);
  CHECK(p.width == 16);
  CHECK(p.height == 16);
  CHECK(p.row(3)[3 * 5] == 16 * 3 + 5);  // the upper left corner stays where it is
  CHECK(eight.grid_of(p) == sp::grid{2, 2});
}

TEST_CASE("all pictures can be brought to one size and to the network's channels",
          "[eval][features]") {
  const sp::image p =
      sp::prepared(numbered(40, 20), {.channels = 1, .patch = 8, .width = 24, .height = 17});
  CHECK(p.width == 24);
  CHECK(p.height == 16);
  CHECK(p.channels == 1);
}

TEST_CASE("pictures too small or with too many patches are refused in one line",
          "[eval][features]") {
  CHECK_THROWS_WITH(sp::prepared(numbered(7, 30), eight), contains("smaller than a patch"));
  CHECK_THROWS_WITH(sp::prepared(numbered(80, 80), {.patch = 8, .most_patches = 99}),
                    contains("too many patches") && contains("10 rows of 10"));
}

TEST_CASE("labels go through the same cut as their picture, by nearest pixels",
          "[eval][features]") {
  sp::image map(4, 2, 1);
  map.pixels = {1, 2, 3, 4, 5, 6, 7, 8};
  const sp::image picture(17, 8, 3);
  const sp::image large = sp::prepared_labels(map, picture, {.patch = 8});
  CHECK(large.width == 16);
  // Pixel x of 17 has its center at (x + 1/2) 4 / 17 of the map.
  CHECK(large.row(0)[3] == 1);
  CHECK(large.row(0)[4] == 2);
  CHECK(large.row(0)[15] == 4);
  CHECK(large.row(4)[0] == 5);
  CHECK_THROWS_AS(sp::prepared_labels(picture, picture, {.patch = 8}), sp::error);
}

TEST_CASE("a batch holds normalized pictures channel by channel", "[eval][features]") {
  const std::vector<sp::image> pictures{numbered(2, 1), numbered(2, 1)};
  const auto batch = sp::batch_of(std::span(pictures), {{0, 0, 0}, {1, 0.5f, 1}});
  REQUIRE(sp::to_string(batch.shape()) == "2 x 3 x 1 x 2");
  CHECK(batch.data()[1] == Approx(1 / 255.));
  CHECK(batch.data()[7] == Approx(1 / 255.));
  const std::vector<sp::image> unequal{numbered(2, 1), numbered(3, 1)};
  CHECK_THROWS_WITH(sp::batch_of(std::span(unequal), {}), contains("same size"));
}

TEST_CASE("extract keeps the order and joins pictures of equal size that follow each other",
          "[eval][features]") {
  std::vector<sp::index> order;
  std::vector<float> sizes, places;
  sp::context<sp::cpu> on(3);
  sp::extract(widths{{16, 16, 24, 16, 16, 16}}, eight, {.batch = 4}, &on, counting,
              [&](sp::index i, const sp::image& p, sp::matrix_view<const float> tokens) {
                order.push_back(i);
                places.push_back(tokens.row(tokens.rows - 1)[0]);
                sizes.push_back(tokens.row(0)[1]);
                REQUIRE(tokens.rows == 1 + p.width / 8);
              });
  CHECK(order == std::vector<sp::index>{0, 1, 2, 3, 4, 5});
  CHECK(sizes == std::vector<float>{2, 2, 1, 1, 2, 2});
  CHECK(places == std::vector<float>{0, 1, 0, 0, 0, 1});
}

TEST_CASE("extract cuts a batch where it would hold too many patches", "[eval][features]") {
  std::vector<float> sizes;
  sp::extract(widths{{16, 16, 16}}, eight, {.batch = 8, .most_patches = 4}, nullptr, counting,
              [&](sp::index, const sp::image&, sp::matrix_view<const float> tokens) {
                sizes.push_back(tokens.row(0)[1]);
              });
  CHECK(sizes == std::vector<float>{2, 2, 1});
}

TEST_CASE("extract names the picture that cannot be read or used", "[eval][features]") {
  const auto none = [](auto&&...) {};
  CHECK_THROWS_WITH(sp::extract(widths{{16, 16}, 1}, eight, {}, nullptr, counting, none),
                    contains("torn") && contains("picture 1"));
  CHECK_THROWS_WITH(sp::extract(widths{{16, 4}}, eight, {}, nullptr, counting, none),
                    contains("smaller than a patch") && contains("picture 1"));
}

TEST_CASE("the feature of an image is its class token or the mean of its patches",
          "[eval][features]") {
  const std::vector<float> tokens{9, 9, 7, 7, 1, 2, 3, 6};
  const sp::matrix_view<const float> view{tokens.data(), 4, 2, 2};
  using rule = sp::image_feature_rule;
  CHECK(sp::image_feature(view, 2, rule::class_token) == std::vector<float>{9, 9});
  CHECK(sp::image_feature(view, 2, rule::mean) == std::vector<float>{2, 4});
  CHECK_THROWS_AS(sp::image_feature(view, 0, rule::class_token), sp::error);
}

TEST_CASE("a token reader gives what the network gives, without the prefix", "[eval][features]") {
  constexpr sp::vit_config tiny{
      .width = 16, .heads = 2, .patch = 8, .class_token = true, .final_norm = true};
  sp::vit<tiny> network(2, 3);
  sp::initialize<float, sp::cpu>(network, 5);
  const sp::image p = sp::prepared(sp::make_scene(1, 1, {.size = 32}).picture, eight);

  const auto read = sp::token_reader(network, eight)(p);
  const auto tokens =
      network(sp::batch_of<decltype(network)::images_type>(std::span(&p, 1), eight.normalization));
  REQUIRE(read.on == sp::grid{4, 4});
  for (sp::index i = 0; i < read.x.size(); ++i) REQUIRE(read.x.data()[i] == tokens.data()[16 + i]);
}

TEST_CASE("rows are made of length 1, and rows of zeros stay", "[eval][features]") {
  sp::patch_matrix x(sp::shape<sp::dyn, sp::dyn>(2, 2));
  x.data()[0] = 3;
  x.data()[1] = -4;
  sp::normalize_rows(x);
  CHECK(x.data()[0] == Approx(.6));
  CHECK(x.data()[1] == Approx(-.8));
  CHECK(x.data()[2] == 0);
}
