#include <selfpatch/eval/report.hpp>

#include "../examples/png_write.hpp"
#include "testing.hpp"

namespace sp = selfpatch;

namespace {

constexpr sp::neighborhood clamped{.k = 4, .radius = 1, .edge = sp::border::clamped};
const sp::network_input eight{.patch = 8};

sp::patch_tokens colors_of(const sp::image& p) {
  return {sp::mean_color_features(p, 8), eight.grid_of(p)};
}
sp::patch_tokens pixels_of(const sp::image& p) {
  return {sp::pixel_features(p, 8), eight.grid_of(p)};
}

/// The log of a run of `steps`, of which `done` are done.
void write_log(const std::filesystem::path& run, int steps, int done, const char* health = "ok") {
  sp::json_log_writer<> log(run / "log.jsonl");
  log.write(sp::json_record()
                .add("config", sp::json_record().add("lr", "0.048").add("arch", "vit_nano8"))
                .add("machine", sp::json_record().add("cpu", "one <of> many"))
                .add("command", "pretrain 'my photos' --out run")
                .add("steps", steps)
                .add("pictures", 3000));
  for (int s = 10; s <= done; s += 10) {
    sp::json_record line;
    line.add("step", s).add("images", 16 * s).add("loss_image", 6 - s * 0.01).add("lr", 0.003);
    line.add("loss_patch", s == 20 ? NAN : 5.5).add("teacher_entropy_image", 0.8);
    line.add("mean_teacher_entropy_image", 0.95).add("kl_image", 0.7).add("prototypes_image", 512);
    line.add("kl_patch", 0.1)
        .add("teacher_entropy_patch", 0.9)
        .add("mean_teacher_entropy_patch", 0.96);
    line.add("prototypes_patch", 256).add("images_per_second", 80).add("data_wait", 0.25);
    line.add("health", health).add("health_image", "ok").add("health_patch", "warning");
    log.write(line);
  }
}

void finish_log(const std::filesystem::path& run) {
  sp::json_log_writer<>(run / "log.jsonl")
      .write(sp::json_record().add("end",
                                   sp::json_record()
                                       .add("verdict", "both terms & all keep learning")
                                       .add("stages", sp::json_record().add("checkpoints", 2.5))));
}

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a log becomes columns with gaps where a line lacks a number", "[eval][run_log]") {
  const temporary_folder run;
  write_log(run.path(), 100, 30);
  const sp::run_log unfinished(run / "log.jsonl");
  CHECK(unfinished.size() == 3);
  CHECK(unfinished.column("step") == std::vector<double>{10, 20, 30});
  CHECK(std::isnan(unfinished.column("loss_patch")[1]));
  CHECK(std::isnan(unfinished.column("nothing")[0]));
  CHECK(unfinished.last("images") == 480);
  CHECK(unfinished.last_text("health_patch") == "warning");
  CHECK(unfinished.pairs("config")[0] == std::pair<std::string, std::string>("lr", "0.048"));
  CHECK(!unfinished.end());
  finish_log(run.path());
  CHECK(sp::run_log(run / "log.jsonl").end()->text("verdict") == "both terms & all keep learning");
}

TEST_CASE("a file that is not the log of a run is refused", "[eval][run_log]") {
  const temporary_folder run;
  write_bytes(run / "log.jsonl", "{\"step\":1}\n");
  CHECK_THROWS_WITH(sp::run_log(run / "log.jsonl"), contains("line 1"));
  CHECK_THROWS_AS(sp::run_log(run / "absent"), sp::error);
}

TEST_CASE("a report holds verdict, measures, pictures, curves, times and the command",
          "[eval][report]") {
  const temporary_folder run;
  write_log(run.path(), 40, 40);
  finish_log(run.path());
  const sp::gallery g = sp::scene_gallery(9, 20, 4, eight, clamped);
  sp::save_snapshot(run.path(), sp::take_snapshot(g, pixels_of, {.label = "untrained", .step = 0}));
  sp::save_snapshot(run.path(), sp::take_snapshot(g, colors_of, {.label = "trained", .step = 40}));

  const auto path = sp::write_report(run.path(), {.title = "Run <a>",
                                                  .encode = sp::encode_png,
                                                  .figures = {{"k-NN", "1", "2", "3"}},
                                                  .stages = {{"evaluation", 6}}});
  const std::string page = file_bytes(path);
  const auto has = [&](const std::string& part) { return page.find(part) != page.npos; };
  CHECK(path == run / "report.html");
  CHECK(has("Run &lt;a&gt;"));
  CHECK(has("Healthy"));
  CHECK(has("both terms &amp; all keep learning"));
  CHECK(has("40 steps, 640 images seen out of 3,000 pictures"));
  CHECK(has("boundary AUC 0."));
  CHECK(has("floor: mean color"));
  CHECK(has("ln K: uniform"));
  CHECK(has("k-NN"));
  CHECK(has("6 s"));  // waiting and training: 8 s in all, a quarter of it waiting
  CHECK(has("2 s"));
  CHECK(has("2.5 s"));
  CHECK(has("pretrain &#39;my photos&#39; --out run"));
  CHECK(has("one &lt;of&gt; many"));
  CHECK(times(page, "<image id=") == 4);  // every picture once, for both snapshots
  CHECK(times(page, "xlink:href=\"#p0\"") == 2 * 2 + 2);
  CHECK(times(page, "<script") == 0);
  CHECK(times(page, "://") == times(page, "http://www.w3.org/2000/svg"));
  CHECK(page.size() < 5'000'000);
}

TEST_CASE("a report of a run that still goes on, without snapshots, says how far it is",
          "[eval][report]") {
  const temporary_folder run;
  write_log(run.path(), 100, 30, "collapsed");
  const std::string page = sp::report_text(run.path(), {});
  CHECK(page.find("30 steps of 100 (not finished)") != page.npos);
  CHECK(page.find("Collapsed") != page.npos);
  CHECK(page.find("<image") == page.npos);
}

TEST_CASE("a report of a run that has not made a step is no error", "[eval][report]") {
  const temporary_folder run;
  write_log(run.path(), 100, 0);
  const std::string page = sp::report_text(run.path(), {});
  CHECK(page.find("Nothing is known") != page.npos);
  CHECK(page.find(">nan") == page.npos);
}

TEST_CASE("drawings show the window around a patch, or all of a torus", "[eval][pictures]") {
  const sp::grid g{10, 20};
  const sp::drawn_query middle{105, {84, 85, 86, 104, 106}, {84}, {0}};
  const auto w = sp::window_of(middle, g, 1);
  CHECK((w.left == 3 && w.top == 3 && w.cols == 5 && w.rows == 5));
  const auto corner = sp::window_of({199, {178, 179, 198}, {}, {}}, g, 1);
  CHECK((corner.left == 15 && corner.top == 5));
  const auto torus = sp::window_of({0, {1, 20, 199}, {}, {}}, g, 1);
  CHECK((torus.cols == 20 && torus.rows == 10));
  const auto tiny = sp::window_of({0, {1}, {}, {}}, {1, 2}, 2);
  CHECK((tiny.cols == 2 && tiny.rows == 1));
}

TEST_CASE("a drawing says in words what it shows", "[eval][pictures]") {
  const sp::drawn_query q{
      5, {1, 4, 6, 9}, {1, 9}, {sp::drawn_query::right, sp::drawn_query::wrong}};
  const std::string drawing = sp::draw_query("p<", {4, 4}, q, 1);
  CHECK(drawing.find("row 1, column 1: 2 chosen of 4, 1 wrong") != drawing.npos);
  CHECK(drawing.find("p&lt;") != drawing.npos);
  const sp::drawn_query open{5, {1}, {1}, {sp::drawn_query::unknown}};
  CHECK(sp::draw_query("p", {4, 4}, open, 1).find("wrong") == std::string::npos);
}

TEST_CASE("pictures of a page are made smaller until they fit its budget", "[eval][pictures]") {
  CHECK(sp::for_page(sp::image(640, 480, 3), 320).height == 240);
  CHECK(sp::for_page(sp::image(5000, 3, 3), 320).height == 1);
  CHECK(sp::for_page(sp::image(96, 96, 3), 320).width == 96);

  sp::gallery g{.input = eight, .which = clamped};
  for (int i = 0; i < 6; ++i)
    g.pictures.push_back({"noise", sp::make_scene(1, i, {.size = 256}).picture, {}, true});
  const std::vector<sp::snapshot> seen{sp::take_snapshot(g, colors_of, {.label = "a"})};
  const auto size = [&](std::size_t budget) {
    sp::html_page page("t");
    sp::gallery_page(seen, sp::encode_png, budget).add_neighbors(page);
    return page.text().size();
  };
  CHECK(size(2'000'000) > 400'000);
  CHECK(size(200'000) < 320'000);
}
