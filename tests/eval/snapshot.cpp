#include <selfpatch/eval/snapshot_file.hpp>

#include "testing.hpp"

namespace sp = selfpatch;

namespace {

constexpr sp::neighborhood clamped{.k = 4, .radius = 1, .edge = sp::border::clamped};
const sp::network_input eight{.patch = 8};

/// Tokens that are the mean color of each patch.
sp::patch_tokens colors_of(const sp::image& p) {
  return {sp::mean_color_features(p, 8), eight.grid_of(p)};
}

sp::snapshot small_snapshot() {
  return sp::take_snapshot(sp::scene_gallery(3, 5, 2, eight, clamped), colors_of,
                           {.label = "trained", .step = 1234, .images = 4936});
}

bool same(const std::vector<sp::drawn_query>& a, const std::vector<sp::drawn_query>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.patch == y.patch && x.candidates == y.candidates && x.chosen == y.chosen &&
           x.marks == y.marks;
  });
}

}  // namespace

TEST_CASE("a snapshot judges all pictures and draws those shown", "[eval][snapshot]") {
  const sp::snapshot s = small_snapshot();
  REQUIRE(s.pictures.size() == 2);
  CHECK(s.network.pictures == 5);
  CHECK(s.network.auc == s.mean_color.auc);  // the network here is the mean color
  CHECK(s.network.auc != s.pixels.auc);
  CHECK(s.color_share == Approx(1));  // three values have three components
  const sp::drawn_picture& p = s.pictures[1];
  CHECK(p.on == sp::grid{12, 12});
  CHECK(p.colors.width == 12);
  REQUIRE(p.queries.size() == 2);

  const auto labels = sp::patch_labels(sp::make_scene(3, 1).instances, 96, 8);
  for (const sp::drawn_query& q : p.queries) {
    REQUIRE(q.chosen.size() == q.marks.size());
    for (std::size_t i = 0; i < q.chosen.size(); ++i)
      CHECK((q.marks[i] == sp::drawn_query::right) ==
            (labels[std::size_t(q.chosen[i])] == labels[std::size_t(q.patch)]));
  }
}

TEST_CASE("pictures without masks are drawn and not judged", "[eval][snapshot]") {
  const sp::source scenes = sp::scene_source{10, 1};
  const sp::snapshot s =
      sp::take_snapshot(sp::source_gallery(scenes, 3, eight, clamped), colors_of, {});
  REQUIRE(s.pictures.size() == 3);
  CHECK(s.pictures[1].name == scenes.name(3));
  CHECK(s.network.pictures == 0);
  CHECK(std::isnan(s.network.auc));
  for (const std::uint8_t m : s.pictures[0].queries[0].marks) CHECK(m == sp::drawn_query::unknown);
}

TEST_CASE("a snapshot read back is the one written, and the files of a run come by step",
          "[eval][snapshot][file]") {
  const temporary_folder run;
  sp::snapshot first = small_snapshot();
  sp::save_snapshot(run.path(), first);
  first.step = 20;
  first.label = "half way";
  sp::save_snapshot(run.path(), first);
  sp::save_snapshot(run.path(), first);  // again: replaced

  const auto all = sp::load_snapshots(run.path());
  REQUIRE(all.size() == 2);
  CHECK(all[0].label == "half way");
  const sp::snapshot &is = all[1], was = small_snapshot();
  CHECK(is.label == "trained");
  CHECK(is.step == 1234);
  CHECK(is.images == 4936);
  CHECK(is.radius == 1);
  CHECK(is.color_share == was.color_share);
  CHECK(is.network.auc == was.network.auc);
  CHECK(is.pixels.ceiling == was.pixels.ceiling);
  REQUIRE(is.pictures.size() == was.pictures.size());
  for (std::size_t i = 0; i < is.pictures.size(); ++i) {
    CHECK(is.pictures[i].name == was.pictures[i].name);
    CHECK(is.pictures[i].picture == was.pictures[i].picture);
    CHECK(is.pictures[i].colors == was.pictures[i].colors);
    CHECK(is.pictures[i].on == was.pictures[i].on);
    CHECK(same(is.pictures[i].queries, was.pictures[i].queries));
  }
}

TEST_CASE("a picture of one patch has no candidates and can still be kept",
          "[eval][snapshot][file]") {
  sp::gallery g{.input = eight, .which = clamped};
  g.pictures.push_back({"dot", sp::image(8, 8, 3), {}, true});
  const temporary_folder run;
  sp::save_snapshot(run.path(), sp::take_snapshot(g, colors_of, {.label = "a"}));
  const auto all = sp::load_snapshots(run.path());
  REQUIRE(all.size() == 1);
  REQUIRE(all[0].pictures[0].queries.size() == 1);
  CHECK(all[0].pictures[0].queries[0].candidates.empty());
}

TEST_CASE("files that are no snapshots are refused alone and left out of a report",
          "[eval][snapshot][file]") {
  const temporary_folder run;
  std::filesystem::create_directories(sp::snapshot_folder(run.path()));
  const auto path = sp::snapshot_folder(run.path()) / "000000001.safetensors";
  write_bytes(path, "nonsense");
  CHECK_THROWS_AS(sp::load_snapshot(path), sp::error);

  // A chosen patch beyond the grid.
  sp::snapshot s = small_snapshot();
  s.step = 2;
  s.pictures[0].queries[0].chosen[0] = 144;
  sp::save_snapshot(run.path(), s);
  CHECK_THROWS_WITH(sp::load_snapshot(sp::snapshot_folder(run.path()) / "000000002.safetensors"),
                    contains("chosen.0") && contains("144"));
  CHECK(sp::load_snapshots(run.path()).empty());
  CHECK(sp::load_snapshots(run / "nothing").empty());
}

TEST_CASE("a snapshot that cannot be written says so", "[eval][snapshot][file]") {
  CHECK_THROWS_AS(sp::save_snapshot("/proc/nothing", small_snapshot()), sp::write_error);
}
