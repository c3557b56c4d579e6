// knn: how well pictures are classified by the labels of their nearest neighbors, beside thumbnails
// that have learned nothing.
#include <selfpatch/eval/floors.hpp>
#include <selfpatch/eval/knn.hpp>

#include "pictures.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

namespace sp = selfpatch;

using matrix = sp::tensor<float, sp::shape<sp::dyn, sp::dyn>>;
using feature_rule = sp::image_feature_rule;

struct options : programs::common {
  std::string data, weights;
  int size = 224;
  std::vector<sp::index> k{1, 5, 10, 20};
  double temperature = 0.07;
  std::optional<feature_rule> feature;
  sp::extraction how{.batch = 32};
  sp::decode_options decode;
};

/// The published transform: the shorter side becomes 8/7 of the size (256 for 224), then the middle
/// is cut out.
struct centered_source {
  sp::source own;
  int side;

  sp::index size() const { return own.size(); }
  std::string name(sp::index i) const { return own.name(i); }
  sp::image picture(sp::index i) const {
    return sp::center_crop(sp::resize_shorter(own.picture(i), int(std::lround(side * 8 / 7.0))),
                           side);
  }
};

/// Pictures with labels, which are positions in the classes of the training half.
struct labeled {
  sp::source pictures;
  std::vector<std::int32_t> labels;
};

/// Both halves of the data. Classes are matched by name.
struct halves {
  std::vector<std::string> classes;
  labeled train, val;

  static halves open(const options& o) {
    auto train = sp::open_classes(o.data + "/train", sp::decode, o.decode);
    auto val = sp::open_classes(o.data + "/val", sp::decode, o.decode);
    std::vector<std::int32_t> renamed;
    for (const std::string& name : val.classes) {
      const auto at = std::lower_bound(train.classes.begin(), train.classes.end(), name);
      const bool known = at != train.classes.end() && *at == name;
      renamed.push_back(known ? std::int32_t(at - train.classes.begin()) : -1);
    }
    halves h{train.classes, {train.pictures, {}}, {val.pictures, {}}};
    h.train.labels.assign(train.pictures.labels.begin(), train.pictures.labels.end());
    for (const int label : val.pictures.labels) {
      h.val.labels.push_back(renamed[std::size_t(label)]);
      if (renamed[std::size_t(label)] < 0)
        throw sp::error(sp::problem{.what = "a class of val/ is not in train/",
                                    .where = sp::printable(o.data),
                                    .found = sp::printable(val.classes[std::size_t(label)])});
    }
    return h;
  }
};

matrix network_features(const sp::source& pictures, const sp::any_backbone& b, feature_rule rule,
                        const options& o, sp::context<sp::cpu>* on) {
  matrix x(sp::shape<sp::dyn, sp::dyn>(pictures.size(), b.config().width));
  programs::minute_ticker ticker(o.quiet, "knn", pictures.size());
  const sp::network_input in = programs::input_options{}.of(b);
  sp::extract(
      centered_source{pictures, o.size}, in, o.how, on,
      [&](const sp::pictures_tensor& batch) { return std::move(b.tokens(batch).back()); },
      [&](sp::index i, const sp::image&, sp::matrix_view<const float> tokens) {
        const auto f = sp::image_feature(tokens, b.config().prefix(), rule);
        std::copy(f.begin(), f.end(), rows(x).row(i));
        ticker.done(i + 1);
      });
  return x;
}

matrix thumbnail_features(const sp::source& pictures, sp::context<sp::cpu>* on) {
  const auto width = sp::index(sp::thumbnail_feature(pictures.picture(0)).size());
  matrix x(sp::shape<sp::dyn, sp::dyn>(pictures.size(), width));
  parallel(on, pictures.size(), [&](sp::index i) {
    const auto f = sp::thumbnail_feature(pictures.picture(i));
    std::copy(f.begin(), f.end(), rows(x).row(i));
  });
  return x;
}

void print_scores(const matrix& train, const matrix& val, const halves& data, const options& o,
                  sp::context<sp::cpu>* on, std::FILE* to, const char* line) {
  const auto found = sp::nearest(val, train, *std::max_element(o.k.begin(), o.k.end()), on);
  for (const sp::index k : o.k) {
    const auto votes =
        sp::knn_votes(found, data.train.labels, sp::index(data.classes.size()), k, o.temperature);
    std::fprintf(to, line, k, sp::knn_score(votes, data.val.labels, k).top1);
  }
}

void define(CLI::App& app, options& o) {
  app.footer(
      "Examples:\n"
      "  knn imagenette --weights run/backbone.safetensors\n"
      "  knn imagenette --weights untrained:vit_small16:0 --size 96 --k 1,20");
  app.add_option("DIR", o.data, "class folders below DIR/train and DIR/val")->required();
  app.add_option("--weights", o.weights, "a backbone, or untrained:ARCH:SEED")->required();
  app.add_option("--size", o.size, "side of the square a picture becomes")
      ->capture_default_str()
      ->check(CLI::Range(8, 4096));
  app.add_option("--k", o.k, "numbers of neighbors that vote")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--temperature", o.temperature, "votes weigh exp(cosine / temperature)")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option(
         "--feature", o.feature,
         "class (token) or mean (of the patches); without it the class token where there is one")
      ->transform(CLI::CheckedTransformer(std::map<std::string, feature_rule>{
          {"class", feature_rule::class_token}, {"mean", feature_rule::mean}}));
  app.add_option("--batch", o.how.batch, "pictures that go through the network together")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  app.add_option("--max-pixels", o.decode.max_pixels, "larger pictures are refused")
      ->capture_default_str();
}

/// What was asked for, or what the backbone has.
feature_rule rule_for(const sp::any_backbone& b, const options& o) {
  const bool has_token = b.config().class_token;
  const feature_rule rule =
      o.feature.value_or(has_token ? feature_rule::class_token : feature_rule::mean);
  if (rule == feature_rule::class_token && !has_token)
    throw sp::error(sp::problem{.what = "--feature class",
                                .where = b.name,
                                .expected = "a backbone with a class token",
                                .hint = "take --feature mean"});
  return rule;
}

int run(int argc, char** argv) {
  options o;
  CLI::App app("Classifies the pictures of DIR/val by their nearest neighbors in DIR/train.");
  define(app, o);
  programs::common_options(app, o);
  if (const auto ends = programs::parse(app, argc, argv)) return *ends;
  programs::only_cpu(o);

  sp::context<sp::cpu> on(o.threads);
  const auto network = sp::open_backbone(o.weights, &on);
  const feature_rule rule = rule_for(*network, o);
  if (o.size < network->config().patch)
    throw sp::error(
        sp::problem{.what = "--size",
                    .expected = "at least a patch, " + std::to_string(network->config().patch),
                    .found = std::to_string(o.size)});
  o.decode.channels = int(network->config().channels);
  const halves data = halves::open(o);
  if (!o.quiet) {
    for (const labeled* half : {&data.train, &data.val})
      for (const auto& line : half->pictures.warnings())
        std::fprintf(stderr, "knn: %s\n", line.c_str());
    std::fprintf(stderr,
                 "knn: %zu classes, %td pictures remembered, %td classified, %s of %s at %d x %d\n",
                 data.classes.size(), data.train.pictures.size(), data.val.pictures.size(),
                 rule == feature_rule::class_token ? "class token" : "mean of the patches",
                 network->name.c_str(), o.size, o.size);
    print_scores(thumbnail_features(data.train.pictures, &on),
                 thumbnail_features(data.val.pictures, &on), data, o, &on, stderr,
                 "floor, thumbnails of 16 x 16: k=%td top1 %.4f\n");
  }
  print_scores(network_features(data.train.pictures, *network, rule, o, &on),
               network_features(data.val.pictures, *network, rule, o, &on), data, o, &on, stdout,
               "knn: k=%td top1 %.4f\n");
  return programs::done;
}

}  // namespace

int main(int argc, char** argv) { return programs::guarded(argc, argv, run); }
