// patch_features: dense features of pictures of any size, to a safetensors file or a folder of .npy
// files, and as pictures of their principal components.
#include <selfpatch/eval/pca.hpp>
#include <selfpatch/io/safetensors.hpp>
#include <selfpatch/nn/weights.hpp>

#include "npy_write.hpp"
#include "pictures.hpp"
#include "png_write.hpp"

#include <cctype>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

namespace sp = selfpatch;

enum class norm_rule { as_is, raw, final };

struct options : programs::common {
  std::vector<std::string> pictures;
  std::string weights, out, pca;
  sp::index layers = 1;
  norm_rule norm = norm_rule::as_is;
  std::optional<sp::image_feature_rule> image;
  sp::extraction how;
  programs::input_options input;
};

/// y = gain (x - mean) / sqrt(variance + 1e-6) + bias over the last axis: the norm of SelfPatch's
/// head, which is beside the backbone in files of whole networks.
struct head_norm {
  std::vector<float> gain, bias;

  explicit head_norm(const std::string& weights) {
    const sp::safetensors_file file(weights);
    std::string base = sp::inspect_weights(file).prefix;
    if (base.ends_with("backbone.")) base.resize(base.size() - 9);
    const auto* w = file.find(base + "ca_head.norm.weight");
    const auto* b = file.find(base + "ca_head.norm.bias");
    if (!w || !b)
      throw sp::error(sp::problem{
          .what = "--norm final",
          .where = weights,
          .expected =
              "a file with the tensors ca_head.norm.weight and bias, as checkpoint.safetensors",
          .found = "a backbone alone",
          .hint = "take the tokens as they are: --norm raw"});
    gain.resize(std::size_t(w->size()));
    bias.resize(std::size_t(b->size()));
    file.read_into(*w, std::span(gain));
    file.read_into(*b, std::span(bias));
  }

  void operator()(float* x) const {
    const double W = double(gain.size());
    double mean = 0, variance = 0;
    for (std::size_t c = 0; c < gain.size(); ++c) mean += x[c] / W;
    for (std::size_t c = 0; c < gain.size(); ++c) variance += (x[c] - mean) * (x[c] - mean) / W;
    const double scale = 1 / std::sqrt(variance + 1e-6);
    for (std::size_t c = 0; c < gain.size(); ++c)
      x[c] = float((x[c] - mean) * scale) * gain[c] + bias[c];
  }
};

/// A backbone called on batches, the tokens of its last layers side by side: (B, P + N, layers *
/// W).
class layered_network {
 public:
  layered_network(const sp::any_backbone& b, const options& o) : backbone_(b), layers_(o.layers) {
    if (o.layers < 1 || o.layers > b.depth())
      throw sp::error(sp::problem{.what = "--layers",
                                  .expected = "1.." + std::to_string(b.depth()),
                                  .found = std::to_string(o.layers)});
    if (o.norm == norm_rule::raw && b.config().final_norm)
      throw sp::error(sp::problem{.what = "--norm raw",
                                  .where = b.name,
                                  .expected = "a backbone without a final norm",
                                  .found = "one whose tokens are normed",
                                  .hint = "leave the option out"});
    if (o.norm == norm_rule::final && !b.config().final_norm) norm_.emplace(o.weights);
    if (norm_ && sp::index(norm_->gain.size()) != b.config().width)
      throw sp::error("--norm final: the norm is not as wide as the backbone");
  }

  sp::any_tokens operator()(const sp::pictures_tensor& pictures) const {
    std::vector<sp::any_tokens> all = backbone_.tokens(pictures, layers_);
    if (norm_)
      for (auto& layer : all)
        for (sp::index r = 0; r < rows(layer).rows; ++r) (*norm_)(rows(layer).row(r));
    if (all.size() == 1) return std::move(all.front());
    const sp::index B = all[0].extent(0), T = all[0].extent(1), W = all[0].extent(2);
    sp::any_tokens joined(sp::shape<sp::dyn, sp::dyn, sp::dyn>(B, T, W * layers_),
                          sp::uninitialized);
    for (sp::index r = 0; r < B * T; ++r)
      for (std::size_t l = 0; l < all.size(); ++l)
        std::copy_n(rows(all[l]).row(r), W, rows(joined).row(r) + sp::index(l) * W);
    return joined;
  }

  /// What was done to the tokens, in a word.
  const char* norm() const { return norm_ || backbone_.config().final_norm ? "final" : "raw"; }

 private:
  const sp::any_backbone& backbone_;
  sp::index layers_;
  std::optional<head_norm> norm_;
};

/// Everything that was computed.
struct features {
  std::vector<sp::patch_tokens> patches;
  std::vector<float> image;  ///< (N, D)
  sp::index width = 0;

  bool one_grid() const {
    return std::all_of(patches.begin(), patches.end(),
                       [&](const auto& p) { return p.on == patches[0].on; });
  }
  /// (N, rows, cols, D) where all grids are equal.
  std::vector<float> joined() const {
    std::vector<float> all;
    for (const auto& p : patches) all.insert(all.end(), p.x.values().begin(), p.x.values().end());
    return all;
  }
};

std::string triple(const std::array<float, 3>& x) {
  std::string text;
  for (const float v : x) {
    char digits[32];
    text.append(text.empty() ? "" : " ")
        .append(digits, std::to_chars(digits, digits + sizeof digits, v).ptr);
  }
  return text;
}

std::string size_text(const programs::input_options& o) {
  const std::string cut = ", whole patches from the upper left corner";
  if (!o.size.empty()) return o.size + cut;
  return (o.longest > 0 ? "at most " + std::to_string(o.longest) + " a side" : "as it is") + cut;
}

sp::string_map describe(const programs::named_pictures& from, const sp::any_backbone& b,
                        const layered_network& network, const sp::network_input& in,
                        sp::image_feature_rule rule, const options& o) {
  std::string files = "[";
  for (sp::index i = 0; i < from.from.size(); ++i) {
    if (i) files += ", ";
    sp::append_quoted(files, from.from.name(i));
  }
  return {{"architecture", b.name},
          {"files", files + "]"},
          {"image",
           rule == sp::image_feature_rule::class_token ? "class token" : "mean of the patches"},
          {"layers", std::to_string(o.layers)},
          {"mean", triple(in.normalization.mean)},
          {"norm", network.norm()},
          {"patch", std::to_string(in.patch)},
          {"size", size_text(o.input)},
          {"std", triple(in.normalization.deviation)}};
}

void write_one_file(const features& f, const sp::string_map& about, const std::string& out) {
  std::vector<sp::named_view> views;
  const sp::index N = sp::index(f.patches.size());
  std::vector<float> all;
  if (f.one_grid()) {
    all = f.joined();
    const sp::grid g = f.patches[0].on;
    views.push_back(
        sp::view_of("patches", std::span<const float>(all), {N, g.rows, g.cols, f.width}));
  } else {
    for (std::size_t i = 0; i < f.patches.size(); ++i) {
      const auto& p = f.patches[i];
      views.push_back(sp::view_of("patches." + std::to_string(i), p.x.values(),
                                  {p.on.rows, p.on.cols, f.width}));
    }
  }
  views.push_back(sp::view_of("image", std::span<const float>(f.image), {N, f.width}));
  sp::write_safetensors(out, std::span<const sp::named_view>(views), about);
}

void make_folder(const std::string& name) {
  std::error_code trouble;
  std::filesystem::create_directories(name, trouble);
  if (trouble) sp::cannot_write(name, "make the folder", trouble.value());
}

void write_folder(const features& f, const sp::string_map& about, const std::string& out) {
  make_folder(out);
  const std::filesystem::path folder(out);
  if (f.one_grid()) {
    const sp::grid g = f.patches[0].on;
    sp::write_npy(folder / "patches.npy", f.joined(),
                  {sp::index(f.patches.size()), g.rows, g.cols, f.width});
  } else {
    for (std::size_t i = 0; i < f.patches.size(); ++i) {
      const auto& p = f.patches[i];
      sp::write_npy(folder / ("patches." + std::to_string(i) + ".npy"), p.x.values(),
                    {p.on.rows, p.on.cols, f.width});
    }
  }
  sp::write_npy(folder / "image.npy", f.image, {sp::index(f.patches.size()), f.width});
  std::string text;
  for (const auto& [key, value] : about) {
    sp::append_quoted(text.append(text.empty() ? "{\n  " : ",\n  "), key);
    text += ": ";
    if (key == "files")
      text += value;
    else
      sp::append_quoted(text, value);
  }
  sp::write_file(folder / "about.json", text + "\n}\n");
}

/// "00012-IMG_3.png"
std::string picture_name(sp::index number, const std::string& relative) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 5 ? 5 - digits.size() : 0, '0');
  std::string stem = std::filesystem::path(relative).stem().string();
  for (char& c : stem)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') c = '_';
  return digits + "-" + stem + ".png";
}

/// Pictures of the tokens, made of length 1, in their first three components over all pictures, as
/// large as what the network saw.
void write_pca(const features& f, const programs::named_pictures& from, int patch,
               const options& o) {
  constexpr sp::index most_fitted = 20000;
  sp::index count = 0;
  for (const auto& p : f.patches) count += p.on.size();
  const sp::index stride = (count + most_fitted - 1) / most_fitted;
  std::vector<float> sample;
  sp::index at = 0;
  std::vector<sp::patch_tokens> unit;
  for (const auto& p : f.patches) {
    unit.push_back({p.x.clone(), p.on});
    sp::normalize_rows(unit.back().x);
    for (sp::index i = 0; i < p.on.size(); ++i, ++at)
      if (at % stride == 0)
        sample.insert(sample.end(), rows(unit.back().x).row(i),
                      rows(unit.back().x).row(i) + f.width);
  }
  const sp::matrix_view<const float> fitted{sample.data(), sp::index(sample.size()) / f.width,
                                            f.width, f.width};
  const sp::principal_components fit = sp::fit_pca(fitted);
  const sp::color_scale scale = sp::color_scale::of(fit.project(fitted));
  make_folder(o.pca);
  for (std::size_t i = 0; i < unit.size(); ++i) {
    const sp::image small =
        sp::pca_picture(fit.project(rows(std::as_const(unit[i].x))), unit[i].on, scale);
    const auto png = sp::encode_png(sp::enlarged(small, patch));
    sp::write_file(
        std::filesystem::path(o.pca) / picture_name(sp::index(i), from.items[i].relative),
        std::string_view(reinterpret_cast<const char*>(png.data()), png.size()));
  }
  if (!o.quiet)
    std::fprintf(stderr, "pca: %.1f %% of the variance in three components, pictures in %s\n",
                 100 * fit.share(), o.pca.c_str());
}

features compute(const programs::named_pictures& from, const sp::network_input& in,
                 const layered_network& network, sp::index prefix, sp::image_feature_rule rule,
                 const options& o, sp::context<sp::cpu>* on) {
  features f;
  programs::minute_ticker ticker(o.quiet, "patch_features", from.from.size());
  sp::extract(from.from, in, o.how, on, network,
              [&](sp::index i, const sp::image& p, sp::matrix_view<const float> tokens) {
                f.width = tokens.cols;
                f.patches.push_back(sp::patches_of(tokens, in.grid_of(p)));
                const auto image = sp::image_feature(tokens, prefix, rule);
                f.image.insert(f.image.end(), image.begin(), image.end());
                ticker.done(i + 1);
              });
  return f;
}

void define(CLI::App& app, options& o) {
  app.footer(
      "Examples:\n"
      "  patch_features photo.jpg --weights backbone.safetensors --out features.safetensors\n"
      "  patch_features photos/ --weights run/backbone.safetensors --out features/ --layers 4 "
      "--size 448x448\n"
      "  patch_features clip/*.jpg --weights backbone.safetensors --out clip.safetensors --pca "
      "colors/");
  app.add_option("PICTURE", o.pictures,
                 "files, folders, lists (.txt), shards (.tar), scenes:N[:SEED]")
      ->required();
  app.add_option("--weights", o.weights, "a backbone, or untrained:ARCH:SEED")->required();
  app.add_option("--out", o.out, "NAME.safetensors, or a folder for .npy files")->required();
  app.add_option("--layers", o.layers,
                 "features of the last so many blocks side by side, the last one last")
      ->capture_default_str();
  app.add_option(
         "--norm", o.norm,
         "raw: tokens as the last block leaves them; final: through the final norm, which "
         "SelfPatch has in its head (give a whole checkpoint); without it as the backbone has it")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, norm_rule>{{"raw", norm_rule::raw}, {"final", norm_rule::final}}));
  app.add_option("--image", o.image,
                 "what stands for the whole picture: class (token) or mean (of the patches); "
                 "without it the class token where there is one")
      ->transform(CLI::CheckedTransformer(std::map<std::string, sp::image_feature_rule>{
          {"class", sp::image_feature_rule::class_token}, {"mean", sp::image_feature_rule::mean}}));
  app.add_option("--pca", o.pca, "folder for pictures of the first three principal components");
  app.add_option("--batch", o.how.batch,
                 "pictures of equal size that go through the network together")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  o.input.define(app);
}

void print_result(const features& f, const options& o) {
  const sp::grid g = f.patches.front().on;
  if (f.one_grid())
    std::printf("features: %zu pictures, %td x %td patches, %td values each: %s\n",
                f.patches.size(), g.rows, g.cols, f.width, o.out.c_str());
  else
    std::printf("features: %zu pictures of different sizes, %td values a patch: %s\n",
                f.patches.size(), f.width, o.out.c_str());
}

int run(int argc, char** argv) {
  options o;
  CLI::App app("Dense features of pictures of any size: a vector per patch and one per picture.");
  define(app, o);
  programs::common_options(app, o);
  if (const auto ends = programs::parse(app, argc, argv)) return *ends;
  programs::only_cpu(o);
  if (o.out.ends_with(".npy"))
    throw sp::error(sp::problem{.what = "--out",
                                .expected = "NAME.safetensors, or a folder for .npy files",
                                .found = o.out});

  sp::context<sp::cpu> on(o.threads);
  const auto network = sp::open_backbone(o.weights, &on);
  const sp::vit_config& config = network->config();
  const sp::network_input in = o.input.of(*network);
  o.input.decode.channels = in.channels;
  const auto rule = o.image.value_or(config.class_token ? sp::image_feature_rule::class_token
                                                        : sp::image_feature_rule::mean);
  if (rule == sp::image_feature_rule::class_token && !config.class_token)
    throw sp::error(sp::problem{.what = "--image class",
                                .where = network->name,
                                .expected = "a backbone with a class token",
                                .hint = "take --image mean"});
  const layered_network layered(*network, o);
  const auto from = programs::open_pictures(o.pictures, o.input.decode);
  if (!o.quiet)
    for (const auto& line : from.from.warnings())
      std::fprintf(stderr, "patch_features: %s\n", line.c_str());

  const features f = compute(from, in, layered, config.prefix(), rule, o, &on);
  const sp::string_map about = describe(from, *network, layered, in, rule, o);
  o.out.ends_with(".safetensors") ? write_one_file(f, about, o.out) : write_folder(f, about, o.out);
  if (!o.pca.empty()) write_pca(f, from, in.patch, o);
  print_result(f, o);
  return programs::done;
}

}  // namespace

int main(int argc, char** argv) { return programs::guarded(argc, argv, run); }
