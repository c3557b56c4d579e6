#include <selfpatch/data/scenes.hpp>
#include <selfpatch/eval/floors.hpp>
#include <selfpatch/eval/neighbors.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

constexpr sp::neighborhood clamped{.k = 4, .radius = 1, .edge = sp::border::clamped};

sp::patch_matrix features(sp::index N, const std::vector<float>& values) {
  sp::patch_matrix x(sp::shape<sp::dyn, sp::dyn>(N, sp::index(values.size()) / N));
  std::copy(values.begin(), values.end(), x.data());
  return x;
}

sp::neighbor_score score_of(const sp::patch_matrix& x, sp::grid g, const std::vector<int>& labels,
                            sp::neighborhood n = clamped) {
  sp::neighbor_score score(n);
  score.add(rows(x), g, labels);
  return score;
}

}  // namespace

TEST_CASE("a patch has the label of most of its pixels, the lower one of equals",
          "[eval][neighbors]") {
  const std::vector<std::uint8_t> mask{1, 1, 2, 3,  //
                                       1, 0, 2, 3,  //
                                       5, 5, 9, 9,  //
                                       4, 4, 9, 7};
  CHECK(sp::patch_labels(mask, 4, 2) == std::vector<int>{1, 2, 4, 9});
  CHECK(sp::patch_labels(mask, 4, 2, 9) == std::vector<int>{1, 2, 4, sp::no_object});
}

TEST_CASE("pixels beyond the last whole patch are left out", "[eval][neighbors]") {
  sp::image map(5, 3, 1);
  map.row(0)[4] = map.row(2)[0] = 8;
  CHECK(sp::patch_labels(map, 2) == std::vector<int>{0, 0});
  CHECK_THROWS_WITH(sp::patch_labels(sp::image(4, 4, 3), 2), contains("one channel"));
}

TEST_CASE("features that know the object reach the ceiling and an auc of 1", "[eval][neighbors]") {
  // Two objects side by side in 4 x 4 patches; the feature is the object.
  std::vector<int> labels;
  std::vector<float> values;
  for (int i = 0; i < 16; ++i) {
    labels.push_back(i % 4 < 2 ? 0 : 1);
    values.insert(values.end(), {labels.back() ? 1.f : 0.f, labels.back() ? 0.f : 1.f});
  }
  const auto score = score_of(features(16, values), {4, 4}, labels);
  CHECK(score.auc.value() == 1);
  CHECK(score.share.value() == score.ceiling.value());
  CHECK(score.share_boundary.value() == score.ceiling_boundary.value());
  CHECK(score.auc.count() == 8);  // the two columns in the middle
  // Of the 4 in the middle of such a column 3 of 8 are other; at its ends 2 of 5, own 3 of 4
  // chosen.
  CHECK(score.chance_boundary.value() == Approx((4 * 5. / 8 + 4 * 3. / 5) / 8));
  CHECK(score.ceiling_boundary.value() == Approx((4 * 4 + 4 * 3) / 32.));
}

TEST_CASE("features that are all alike get an auc of one half", "[eval][neighbors]") {
  const auto score = score_of(features(4, {1, 1, 1, 1}), {2, 2}, {0, 0, 1, 1});
  CHECK(score.auc.value() == 0.5);
  CHECK(score.chance.value() == Approx(1 / 3.));
}

TEST_CASE("the auc counts the pairs that are ordered rightly", "[eval][neighbors]") {
  // In a row of three the middle patch alone is at a border: it has one neighbor of its own and one
  // other.
  const std::vector<int> labels{0, 0, 1};
  CHECK(score_of(features(3, {1, 0, 1, .1f, 0, 1}), {1, 3}, labels).auc.value() == 1);
  CHECK(score_of(features(3, {1, 0, .1f, 1, 0, 1}), {1, 3}, labels).auc.value() == 0);
  CHECK(score_of(features(3, {1, 0, 1, .1f, 0, 1}), {1, 3}, labels).auc.count() == 1);
}

TEST_CASE("patches without an object are neither judged nor chosen", "[eval][neighbors]") {
  // The middle patch looks most like the ignored one.
  const auto x = features(4, {1, .2f, 1, 0, 0, 1, 1, 0});
  const auto judged = sp::judge_patches(rows(x), {1, 4}, clamped, std::vector<int>{0, -1, 0, 0});
  CHECK(judged[0].candidates.empty());
  CHECK(judged[1].candidates.empty());
  CHECK(judged[2].candidates == std::vector<std::int32_t>{3});

  const auto score = score_of(x, {1, 4}, {0, -1, 0, 0});
  CHECK(score.share.count() == 2);
  CHECK(score.share.value() == 1);
  CHECK(std::isnan(score.auc.value()));
}

TEST_CASE("what is chosen here is what neighbor_topk chooses", "[eval][neighbors]") {
  const sp::grid g{5, 7};
  const auto x = random_tensor<float>(sp::shape<sp::dyn, sp::dyn>(g.size(), 9), 3);
  sp::tensor<float, sp::shape<sp::dyn, sp::dyn, sp::dyn>, sp::reference> batch(
      sp::shape<sp::dyn, sp::dyn, sp::dyn>(1, g.size(), 9));
  std::copy(x.values().begin(), x.values().end(), batch.data());
  for (const auto edge : {sp::border::clamped, sp::border::torus}) {
    const sp::neighborhood n{.k = 3, .radius = 2, .edge = edge};
    const auto found = sp::neighbor_topk(batch, g, n);
    const auto judged = sp::judge_patches(rows(x), g, n, std::vector<int>(35, 0));
    for (sp::index i = 0; i < g.size(); ++i)
      for (sp::index s = 0; s < 3; ++s)
        REQUIRE(judged[std::size_t(i)].chosen[std::size_t(s)] == found.index.data()[3 * i + s]);
  }
}

TEST_CASE("features, labels and grid must agree", "[eval][neighbors]") {
  const auto x = features(4, {1, 2, 3, 4});
  sp::neighbor_score score(clamped);
  CHECK_THROWS_WITH(score.add(rows(x), {2, 3}, std::vector<int>(6)), contains("rows * cols"));
  CHECK_THROWS_WITH(score.add(rows(x), {2, 2}, std::vector<int>(3)), contains("a label a patch"));
}

TEST_CASE("the standard error is that of means over pictures", "[eval][neighbors]") {
  sp::picture_mean a, b;
  for (const double s : {1., 2., 3., 6.}) {
    a.add(s * 10, 10);
    b.add(s * 10 + 1, 10);
  }
  CHECK(a.value() == 3);
  CHECK(a.standard_error() ==
        Approx(std::sqrt(14. / 3 / 4)));  // deviation of 1 2 3 6, over sqrt(4)
  CHECK(paired_error(a, b) == Approx(0).margin(1e-12));
  CHECK(b.value() - a.value() == Approx(.1));
  sp::picture_mean one;
  one.add(1, 2);
  CHECK(std::isnan(one.standard_error()));
  CHECK_THROWS_AS(paired_error(a, one), sp::error);
}

TEST_CASE("on generated scenes chance, ceiling and floors stand where they were measured",
          "[eval][neighbors][scenes]") {
  sp::neighbor_score color(clamped), pixels(clamped);
  for (sp::index i = 0; i < 200; ++i) {
    const sp::scene s = sp::make_scene(1, i);
    const auto labels = sp::patch_labels(s.instances, 96, 8);
    const auto mean = sp::mean_color_features(s.picture, 8), all = sp::pixel_features(s.picture, 8);
    color.add(rows(mean), {12, 12}, labels);
    pixels.add(rows(all), {12, 12}, labels);
  }
  CHECK(color.chance.value() == Approx(0.818).margin(0.02));
  CHECK(color.chance_boundary.value() == Approx(0.632).margin(0.02));
  CHECK(color.ceiling.value() == Approx(0.959).margin(0.02));
  CHECK(color.ceiling_boundary.value() == Approx(0.919).margin(0.02));
  CHECK(color.share.value() == Approx(0.920).margin(0.02));
  CHECK(color.share_boundary.value() == Approx(0.839).margin(0.02));
  CHECK(color.auc.value() == Approx(0.877).margin(0.02));
  CHECK(pixels.share.value() == Approx(0.874).margin(0.02));
  CHECK(pixels.share_boundary.value() == Approx(0.746).margin(0.02));
  CHECK(pixels.auc.value() == Approx(0.718).margin(0.02));
  CHECK(pixels.auc.standard_error() == Approx(0.0065).margin(0.0015));
}
