#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/data/decode.hpp>
#include <selfpatch/data/open_source.hpp>
#include <selfpatch/eval/floors.hpp>
#include <selfpatch/eval/knn.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

/// 4 x 2 pixels, each sample another value.
sp::image counted() {
  sp::image p(4, 2, 3);
  for (std::size_t i = 0; i < p.bytes(); ++i) p.pixels[i] = std::uint8_t(10 * i);
  return p;
}

sp::tensor<float, sp::shape<sp::dyn, sp::dyn>> thumbnails(const sp::source& from) {
  sp::tensor<float, sp::shape<sp::dyn, sp::dyn>> x(
      sp::shape<sp::dyn, sp::dyn>(from.size(), 16 * 16 * 3));
  for (sp::index i = 0; i < from.size(); ++i) {
    const auto f = sp::thumbnail_feature(from.picture(i));
    std::copy(f.begin(), f.end(), rows(x).row(i));
  }
  return x;
}

}  // namespace

TEST_CASE("pixel features are the normalized samples of each patch", "[eval][floors]") {
  const sp::normalization plain{{0, 0, 0}, {1, 1, 1}};
  const auto x = sp::pixel_features(counted(), 2, plain);
  REQUIRE(x.extent(0) == 2);
  REQUIRE(x.extent(1) == 12);
  // The second patch begins with the third pixel and goes on with the one below.
  CHECK(rows(x).row(1)[0] == Approx(60 / 255.));
  CHECK(rows(x).row(1)[6] == Approx(180 / 255.));

  const auto normalized = sp::pixel_features(counted(), 2);
  CHECK(rows(normalized).row(1)[1] == Approx((70 / 255. - 0.456) / 0.224));
}

TEST_CASE("mean color features are the means of the channels", "[eval][floors]") {
  const auto x = sp::mean_color_features(counted(), 2, {{0, 0, 0}, {1, 1, 1}});
  REQUIRE(x.extent(1) == 3);
  for (int c = 0; c < 3; ++c)
    CHECK(rows(x).row(0)[c] == Approx((0 + 30 + 120 + 150 + 40 * c) / 4. / 255));
}

TEST_CASE("a thumbnail has mean 0 and length 1, or is 0 for one color", "[eval][floors]") {
  const auto f = sp::thumbnail_feature(sp::make_scene(3, 4).picture);
  REQUIRE(f.size() == 768);
  double sum = 0, squares = 0;
  for (const float v : f) sum += v, squares += double(v) * v;
  CHECK(sum == Approx(0).margin(1e-4));
  CHECK(squares == Approx(1));
  for (const float v : sp::thumbnail_feature(sp::image(30, 20, 3))) REQUIRE(v == 0);
}

TEST_CASE("k-NN on thumbnails reaches the recorded accuracies", "[eval][floors][knn]") {
  const auto folder = shared_data("data/imagenette224");
  if (!folder) return skip("data/imagenette224 is not beside the checkout");
  const auto train = sp::open_classes((*folder / "train").string(), sp::decode);
  const auto val = sp::open_classes((*folder / "val").string(), sp::decode);
  const std::vector<std::int32_t> labels(train.pictures.labels.begin(),
                                         train.pictures.labels.end());
  const std::vector<std::int32_t> truth(val.pictures.labels.begin(), val.pictures.labels.end());
  const auto found = sp::nearest(thumbnails(val.pictures), thumbnails(train.pictures), 20);
  const auto top1 = [&](sp::index k) {
    return sp::knn_score(sp::knn_votes(found, labels, 10, k), truth, k).top1;
  };
  CHECK(top1(1) == Approx(0.2767).margin(5e-5));
  CHECK(top1(5) == Approx(0.3033).margin(5e-5));
  CHECK(top1(10) == Approx(0.3133).margin(5e-5));
  CHECK(top1(20) == Approx(0.3067).margin(5e-5));
}
