// trainer: the step of self-distillation, for any method
//
//   accumulate(), once per micro-batch
//     teacher forward, student forward, both terms (their formulas are in ops/distill.hpp)
//     backward: the gradient of  image + patch_weight * patch
//   update()
//     every figure finite? else nothing changes
//     clip, AdamW, teacher = m teacher + (1 - m) student, centers
//
// Gradients are complete before anything moves, so a refused step leaves weights, moments and
// centers as they were. Published order for the centers is before the backward pass; they enter
// nothing in between, so values are the same.
#pragma once

#include <selfpatch/nn/init.hpp>
#include <selfpatch/ops/adamw.hpp>
#include <selfpatch/ops/clip.hpp>
#include <selfpatch/ops/distill.hpp>
#include <selfpatch/ops/ema.hpp>
#include <selfpatch/train/center.hpp>
#include <selfpatch/train/objective.hpp>
#include <selfpatch/train/schedule.hpp>

namespace selfpatch {

enum class clip_mode { per_tensor, global };

/// What of the recipe the step itself needs.
struct step_config {
  patch_rule patches{};
  double patch_weight = 0.1;
  double student_temperature = 0.1;
  double center_momentum = 0.9;
  double clip = 3;  ///< 0: off
  clip_mode clipping = clip_mode::per_tensor;
};

/// What a step says of itself.
struct step_report {
  double loss = 0, loss_image = 0, loss_patch = 0;
  distillation image, patch;       ///< of the last micro-batch
  double grad_norm = 0;            ///< over all tensors, before clipping
  double feature_std = 0;          ///< see spread()
  double neighbor_similarity = 0;  ///< mean cosine of the chosen neighbors
  std::string refused;             ///< what was not finite first; empty for a good step
};

/// How far the unit tokens (rows, W) of a batch spread: sqrt(1 - |mean|^2), 0 = all the same, 1 =
/// in all directions.
template <class X>
double spread(const X& tokens) {
  const auto unit = l2_normalize(tokens);
  const auto mean = mean_rows(unit);
  double squares = 0;
  for (auto m : mean.values()) squares += double(m) * double(m);
  return std::sqrt(std::max(0.0, 1 - squares));
}

/// Stochastic depth: block l of `depth` drops a branch of a sample with probability rate * l /
/// (depth - 1). Every draw is keyed by (seed, step, image of the global batch, view), so it does
/// not depend on how the batch is cut.
template <class T, class D>
drop_path_draws<T, D> draw_drop_path(double rate, index depth, std::uint64_t seed, index step,
                                     index first_image, index images, index first_view, index views,
                                     context<D>* on = nullptr) {
  drop_path_draws<T, D> draws;
  if (rate <= 0) return draws;
  for (index i = 0; i < 2 * depth; ++i) {
    const double p = depth > 1 ? rate * double(i / 2) / double(depth - 1) : 0;
    tensor<T, shape<dyn>, D> keep(shape<dyn>(views * images), on);
    for (index s = 0; s < keep.size(); ++s) {
      random key(seed, purpose::drop_path, step, first_image + s % images, first_view + s / images);
      const double u = double(key.at(std::uint64_t(i)) >> 11) * 0x1p-53;
      keep.data()[s] = u < 1 - p ? T(1 / (1 - p)) : T(0);
    }
    draws.push_back(std::move(keep));
  }
  return draws;
}

template <class Network>
class trainer {
 public:
  using T = typename Network::value_type;
  using D = typename Network::device_type;
  using crops_type = typename Network::crops_type;
  using vector_type = tensor<T, shape<dyn>, D>;

  Network student, teacher;
  vector_type center, patch_center;  ///< (O) each
  std::vector<vector_type> adam_m,
      adam_v;  ///< per parameter of the student; empty for those that never learn
  std::vector<index> adam_steps;

  /// Student and teacher start equal. The student's parameters learn, but lengths of last layers
  /// that are fixed.
  trainer(const network_config& n, const step_config& s, std::uint64_t seed,
          context<D>* on = nullptr)
      : student(n, on),
        teacher(n, on),
        center(shape<dyn>(n.image_head.out), on),
        patch_center(shape<dyn>(Network::has_patch_term ? n.patch_head.out : 0), on),
        config_(s),
        on_(on) {
    initialize<T, D>(student, seed);
    copy_parameters(student, teacher);
    for_each_parameter(student, [&](const std::string& name, auto& p) {
      p.learn(!(name.ends_with("weight_g") && fixed_length(name)));
      const index size = p.learns ? p.value.size() : 0;
      adam_m.emplace_back(shape<dyn>(size), on);
      adam_v.emplace_back(shape<dyn>(size), on);
      adam_steps.push_back(0);
    });
  }

  /// One micro-batch: adds its gradients. `share` is its part of the batch, `drop` per resolution
  /// (empty: keep all). `measure` also fills in the figures that cost a pass over the tokens.
  void accumulate(const std::vector<crops_type>& crops,
                  const std::vector<drop_path_draws<T, D>>& drop, const step_values& v,
                  double share = 1, bool measure = false, index images = 0) {
    const index B = images ? images : crops[0].extent(0) / 2;
    const auto taught = teacher.teacher(crops, config_.patches);
    tape on;
    std::vector<variable<crops_type>> seen;
    for (const auto& c : crops) seen.push_back(on.constant(c.clone()));
    const auto learned = student.student(seen, drop, config_.patches);

    const auto image = image_term(taught, learned, B, v);
    image.gradient().data()[0] = T(share);
    report_.loss_image += share * report_.image.loss;
    if constexpr (Network::has_patch_term) {
      const auto patch = patch_term(taught, learned, crops, B, v);
      patch.gradient().data()[0] = T(config_.patch_weight * share);
      report_.loss_patch += share * report_.patch.loss;
    }
    if (measure) measure_tokens(taught);
    report_.loss = report_.loss_image + config_.patch_weight * report_.loss_patch;
    image_rows_.add(taught.image);
    if constexpr (Network::has_patch_term) patch_rows_.add(taught.patch);
    if (!std::isfinite(report_.loss) && report_.refused.empty())
      report_.refused = first_bad(crops, taught, learned);
    on.backward(image);
  }

  /// Ends the step begun by accumulate().
  step_report update(const step_values& v) {
    const auto all = parameters<T, D>(student);
    std::vector<double> norms(all.size());
    double squares = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].gradient) continue;
      const double s = timed(watching(), "clip", 0, [&] {
        return kernel<op::clip, D>::squares(on_, all[i].gradient, all[i].size);
      });
      if (!std::isfinite(s) && report_.refused.empty())
        report_.refused = "gradient of " + all[i].name;
      norms[i] = std::sqrt(s);
      squares += s;
    }
    report_.grad_norm = std::sqrt(squares);
    if (report_.refused.empty()) apply_update(v, all, norms);
    zero_gradients(student);
    image_rows_ = {};
    patch_rows_ = {};
    return std::exchange(report_, {});
  }

  /// accumulate() and update() of a whole batch.
  step_report step(const std::vector<crops_type>& crops,
                   const std::vector<drop_path_draws<T, D>>& drop, const step_values& v,
                   bool measure = false) {
    accumulate(crops, drop, v, 1, measure);
    return update(v);
  }

  const step_config& config() const { return config_; }

 private:
  profile* watching() const { return on_ ? on_->watching() : nullptr; }

  bool fixed_length(const std::string& name) const {
    const auto& head =
        name.find("p_head") != std::string::npos ? student.patch_head() : student.image_head();
    return head.config.norm_last_layer;
  }

  template <class Head>
  teacher_targets<T> targets(const Head& head, matrix_view<const T> z, const vector_type& c,
                             double temperature) const {
    return {z, rows(head.weight_v.value), head.weight_g.value.data(), c.data(), temperature};
  }

  auto image_term(const auto& taught, const auto& learned, index B, const step_values& v) {
    const auto& head = student.image_head();
    const index views = learned.image.extent(0) / B, pairs = 2 * (views - 1);
    expects(views >= 2, "trainer: two global views are needed");
    row_weights_.assign(std::size_t(views * B), T(1.0 / double(pairs * B)));
    const op::distill<T> term{
        targets(teacher.image_head(), rows(taught.image).slice(0, 2 * B), center, v.temperature),
        B,
        row_weights_.data(),
        config_.student_temperature,
        !v.frozen || keep_frozen_gradients,
        &report_.image};
    return distill<T>(learned.image, head.weight_v, head.weight_g, term);
  }

  auto patch_term(const auto& taught, const auto& learned, const std::vector<crops_type>& crops,
                  index B, const step_values& v) {
    const auto& head = student.patch_head();
    index views = 0;
    row_weights_.clear();
    for (std::size_t i = 0; i < crops.size(); ++i) {
      if (i > 0 && !config_.patches.local_views) break;
      const index of_part = crops[i].extent(0) / B, N = taught.tokens[i].extent(1);
      views += of_part;
      row_weights_.insert(row_weights_.end(), std::size_t(crops[i].extent(0) * N),
                          T(1.0 / double(B * N)));
    }
    for (T& w : row_weights_) w = T(double(w) / double(views));
    const op::distill<T> term{
        targets(teacher.patch_head(), rows(taught.patch), patch_center, v.patch_temperature),
        index(row_weights_.size()),
        row_weights_.data(),
        config_.student_temperature,
        !v.frozen || keep_frozen_gradients,
        &report_.patch};
    return distill<T>(learned.patch, head.weight_v, head.weight_g, term);
  }

  void measure_tokens(const auto& taught) {
    report_.feature_std = spread(taught.tokens[0]);
    if (taught.chosen.empty()) return;
    double sum = 0;
    index count = 0;
    for (auto s : taught.chosen[0].similarity.values())
      if (std::isfinite(double(s))) {
        sum += double(s);
        ++count;
      }
    report_.neighbor_similarity = count ? sum / double(count) : 0;
  }

  /// The first thing on the way from crops to loss that is not finite.
  std::string first_bad(const std::vector<crops_type>& crops, const auto& taught,
                        const auto& learned) const {
    const auto bad = [](const auto& x) {
      return !std::isfinite(kernel<op::clip, D>::squares(x.on(), x.data(), x.size()));
    };
    for (const auto& c : crops)
      if (bad(c)) return "input pixels";
    for (const auto* net : {&student, &teacher}) {
      std::string first;
      for_each_parameter(*net, [&](const std::string& name, const auto& p) {
        if (first.empty() && bad(p.value))
          first = (net == &student ? "student." : "teacher.") + name;
      });
      if (!first.empty()) return first;
    }
    if (bad(center)) return "center";
    for (const auto& t : taught.tokens)
      if (bad(t)) return "teacher tokens";
    for (const auto& t : learned.tokens)
      if (bad(value_of(t))) return "student tokens";
    return "loss";
  }

  void apply_update(const step_values& v, const std::vector<named_parameter<T, D>>& all,
                    const std::vector<double>& norms) {
    auto next_center = image_rows_.moved(teacher.image_head(), center, config_.center_momentum);
    auto next_patch_center =
        patch_rows_.moved(teacher.patch_head(), patch_center, config_.center_momentum);
    const auto teachers = parameters<T, D>(teacher);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto& p = all[i];
      if (p.gradient && !(v.frozen && p.is_last_layer())) {
        const double norm = config_.clipping == clip_mode::global ? report_.grad_norm : norms[i];
        const op::adamw o{.lr = v.lr,
                          .weight_decay = p.decays() ? v.weight_decay : 0,
                          .clip = clip_coefficient(norm, config_.clip)};
        timed(watching(), "adamw", 0, [&] {
          kernel<op::adamw, D>::update(on_, o, ++adam_steps[i], p.gradient, p.value,
                                       adam_m[i].data(), adam_v[i].data(), p.size);
        });
      }
      timed(watching(), "ema", 0, [&] {
        kernel<op::ema, D>::update(on_, op::ema{v.momentum}, p.value, teachers[i].value, p.size);
      });
    }
    center = std::move(next_center);
    patch_center = std::move(next_patch_center);
  }

  step_config config_;
  context<D>* on_;
  step_report report_;
  center_update<T, D> image_rows_, patch_rows_;
  std::vector<T> row_weights_;

 public:
  /// While last layers are frozen their gradients are not made; parity checks want to see them.
  bool keep_frozen_gradients = false;
};

}  // namespace selfpatch
