#include <selfpatch/data/scenes.hpp>
#include <selfpatch/eval/query_patches.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

constexpr sp::neighborhood clamped{.k = 4, .radius = 1, .edge = sp::border::clamped};

bool apart(const std::vector<sp::index>& patches, sp::index cols) {
  for (const sp::index i : patches)
    for (const sp::index j : patches)
      if (i != j && std::max(std::abs(i / cols - j / cols), std::abs(i % cols - j % cols)) <= 2)
        return false;
  return true;
}

}  // namespace

TEST_CASE("with labels the patches lie at borders of objects, apart from each other",
          "[eval][query_patches]") {
  const sp::scene s = sp::make_scene(4, 0);
  const auto labels = sp::patch_labels(s.instances, 96, 8);
  const auto picked = sp::query_patches(s.picture, 8, clamped, labels, 3);
  REQUIRE(picked.size() == 3);
  CHECK(apart(picked, 12));
  const sp::neighbor_table table({12, 12}, clamped);
  for (const sp::index i : picked) {
    sp::index own = 0, others = 0;
    for (sp::index m = 0; m < table.width && table.row(i)[m] >= 0; ++m)
      ++(labels[std::size_t(table.row(i)[m])] == labels[std::size_t(i)] ? own : others);
    CHECK((own > 0 && others > 0));
  }
}

TEST_CASE("without labels they lie at the strongest edges, one in each band of rows",
          "[eval][query_patches]") {
  // Dark but for a light square in the upper half and a grey one in the lower.
  sp::image p(96, 96, 3);
  const auto fill = [&](int row, int col, std::uint8_t v) {
    for (int y = 8 * row; y < 8 * row + 8; ++y) std::fill_n(p.row(y) + 3 * 8 * col, 3 * 8, v);
  };
  fill(3, 7, 255);
  fill(8, 2, 90);
  CHECK(sp::query_patches(p, 8, clamped, {}, 2) == std::vector<sp::index>{3 * 12 + 7, 8 * 12 + 2});
}

TEST_CASE("a picture without borders still has a patch to look at", "[eval][query_patches]") {
  const auto of = [](int rows, int cols, const std::vector<int>& labels) {
    return sp::query_patches(sp::image(8 * cols, 8 * rows, 3), 8, clamped, labels, 2);
  };
  CHECK(of(1, 1, {}) == std::vector<sp::index>{0});
  CHECK(of(2, 2, std::vector<int>(4, 7)) == std::vector<sp::index>{3});
  CHECK(of(2, 2, std::vector<int>(4, sp::no_object)) == std::vector<sp::index>{3});
  CHECK(of(1, 5, {}).size() == 1);
}
