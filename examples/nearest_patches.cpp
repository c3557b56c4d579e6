// nearest_patches: which neighbors a backbone chooses, drawn on a page, and, where masks exist, how
// often they lie on the same object.
#include <selfpatch/eval/gallery_page.hpp>

#include "pictures.hpp"
#include "png_write.hpp"

#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

namespace sp = selfpatch;

struct options : programs::common {
  std::vector<std::string> pictures;
  std::string weights, against, out, labels;
  int ignored = -1;
  sp::index shown = 8, queries = 3;
  sp::neighborhood which{.k = 4, .radius = 1, .edge = sp::border::clamped};
  programs::input_options input;
};

/// All pictures with masks are judged; `shown` of them, at even distances, are drawn.
sp::gallery read_gallery(const programs::named_pictures& from, const sp::network_input& in,
                         const options& o) {
  sp::gallery g{.input = in, .which = o.which, .pictures = {}, .queries = std::size_t(o.queries)};
  const programs::label_folder masks{o.labels, o.ignored};
  const sp::index count = from.from.size(), shown = std::min(o.shown, count);
  sp::index next = 0;
  for (sp::index i = 0; i < count; ++i) {
    const bool drawn = next < shown && i == next * count / shown;
    next += drawn;
    if (!drawn && o.labels.empty() && !from.items[std::size_t(i)].scene) continue;
    const sp::image original = from.from.picture(i);
    sp::detail::naming(from.from.name(i), [&] {
      sp::image p = sp::prepared(original, in);
      g.pictures.push_back({from.items[std::size_t(i)].relative, std::move(p),
                            masks.labels(from, i, original, in), drawn});
    });
  }
  return g;
}

std::string figures_line(const sp::neighbor_figures& f) {
  char text[200];
  std::snprintf(text, sizeof text,
                "pictures %.0f share %.4f boundary %.4f auc %.4f chance %.4f ceiling %.4f",
                f.pictures, f.share, f.boundary, f.auc, f.chance, f.ceiling);
  return text;
}

void print_floors(const std::vector<sp::snapshot>& seen, const sp::neighbor_score& score,
                  const std::optional<sp::neighbor_score>& against) {
  const sp::snapshot& s = seen.back();
  std::fprintf(stderr, "floor, mean color: %s\n", figures_line(s.mean_color).c_str());
  std::fprintf(stderr, "floor, pixels: %s\n", figures_line(s.pixels).c_str());
  std::fprintf(stderr, "standard error: boundary %.4f auc %.4f\n", s.network.boundary_error,
               s.network.auc_error);
  if (against)
    std::fprintf(
        stderr,
        "difference: boundary %+.4f (standard error %.4f) auc %+.4f (standard error %.4f)\n",
        score.share_boundary.value() - against->share_boundary.value(),
        paired_error(score.share_boundary, against->share_boundary),
        score.auc.value() - against->auc.value(), paired_error(score.auc, against->auc));
}

std::string page_text(const std::vector<sp::snapshot>& seen, const options& o) {
  sp::html_page page("Chosen neighbors");
  page.paragraph("Of every patch its " + std::to_string(o.which.k) +
                 " most similar neighbors, by the cosine of their tokens, in a window of radius " +
                 std::to_string(o.which.radius) +
                 (o.which.edge == sp::border::torus ? " on a torus." : " cut off at the border."));
  sp::gallery_page parts(seen, sp::encode_png);
  parts.add_figures(page);
  parts.add_neighbors(page);
  parts.add_colors(page);
  return page.text();
}

void define(CLI::App& app, options& o) {
  app.footer(
      "Examples:\n"
      "  nearest_patches photo.jpg --weights backbone.safetensors --longest 640 --out page.html\n"
      "  nearest_patches scenes:200:9 --weights run/backbone.safetensors --against "
      "untrained:vit_nano8:0 "
      "--out page.html\n"
      "  nearest_patches camvid/images/test --labels camvid/labels/test --ignore 11 --size 192x144 "
      "--weights backbone.safetensors --out page.html");
  app.add_option("PICTURE", o.pictures,
                 "files, folders, lists (.txt), shards (.tar), scenes:N[:SEED]")
      ->required();
  app.add_option("--weights", o.weights, "a backbone, or untrained:ARCH:SEED")->required();
  app.add_option("--against", o.against, "another one to compare it with");
  app.add_option("--out", o.out, "the page")->required();
  app.add_option("--labels", o.labels,
                 "folder of label maps: NAME.png, the value of a pixel is its object");
  app.add_option("--ignore", o.ignored, "label of pixels that count for nothing")
      ->check(CLI::Range(0, 255));
  app.add_option("--k", o.which.k, "neighbors chosen")->capture_default_str();
  app.add_option("--radius", o.which.radius, "of the window")
      ->capture_default_str()
      ->check(CLI::Range(1, 16));
  const std::map<std::string, sp::border> borders{{"torus", sp::border::torus},
                                                  {"clamped", sp::border::clamped}};
  app.add_option("--border", o.which.edge, "of the grid: clamped or torus")
      ->transform(CLI::CheckedTransformer(borders))
      ->default_str("clamped");
  app.add_option("--pictures", o.shown, "how many are drawn")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--queries", o.queries, "patches drawn of each")
      ->capture_default_str()
      ->check(CLI::Range(1, 16));
  o.input.define(app);
}

void check_comparable(const sp::any_backbone& a, const sp::any_backbone& b, const options& o) {
  const auto text = [](const sp::any_backbone& x) {
    return "patches of " + std::to_string(x.config().patch) + " pixels, " +
           std::to_string(x.config().channels) + " channels";
  };
  if (text(a) != text(b))
    throw sp::error(sp::problem{.what = "the two backbones cannot be compared",
                                .where = o.against,
                                .expected = text(a),
                                .found = text(b)});
}

void print_results(const std::vector<sp::snapshot>& seen, const sp::neighbor_score& score,
                   const std::optional<sp::neighbor_score>& against, const options& o) {
  if (!o.quiet) std::fprintf(stderr, "page: %s\n", o.out.c_str());
  if (score.pictures() == 0) {
    if (!o.quiet) std::fprintf(stderr, "no masks: nothing is measured\n");
    return;
  }
  if (!o.quiet) print_floors(seen, score, against);
  if (against) std::printf("against: %s\n", figures_line(seen.front().network).c_str());
  std::printf("neighbors: %s\n", figures_line(seen.back().network).c_str());
}

int run(int argc, char** argv) {
  options o;
  CLI::App app(
      "Draws the neighbors a backbone chooses for patches, and says how many lie on the same "
      "object where masks "
      "exist: in generated scenes, or with --labels.");
  define(app, o);
  programs::common_options(app, o);
  if (const auto ends = programs::parse(app, argc, argv)) return *ends;
  programs::only_cpu(o);

  sp::context<sp::cpu> on(o.threads);
  const auto network = sp::open_backbone(o.weights, &on);
  const auto other = o.against.empty() ? nullptr : sp::open_backbone(o.against, &on);
  if (other) check_comparable(*network, *other, o);
  const sp::network_input in = o.input.of(*network);
  o.input.decode.channels = in.channels;
  const sp::gallery pictures =
      read_gallery(programs::open_pictures(o.pictures, o.input.decode), in, o);

  std::vector<sp::snapshot> seen;
  sp::neighbor_score score(o.which);
  std::optional<sp::neighbor_score> against;
  if (other)
    seen.push_back(sp::take_snapshot(pictures, programs::patch_reader(*other, o.input.of(*other)),
                                     {.label = o.against}, &against.emplace(o.which)));
  seen.push_back(sp::take_snapshot(pictures, programs::patch_reader(*network, in),
                                   {.label = o.weights}, &score));
  sp::write_file(o.out, page_text(seen, o));
  print_results(seen, score, against, o);
  return programs::done;
}

}  // namespace

int main(int argc, char** argv) { return programs::guarded(argc, argv, run); }
