// parity_training: a recorded run repeated with our own trainer, step by step.
//
// Included by models/parity_*.cpp alone, which compile it for one network each.
#pragma once

#include <selfpatch/cpu/cpu.hpp>
#include <selfpatch/train/dino.hpp>
#include <selfpatch/train/selfpatch.hpp>
#include <selfpatch/train/trainer.hpp>

#include "parity_models.hpp"

#include <type_traits>

namespace parity {

/// One run. Every member function is a part of what is recorded.
template <class Network>
class training_check {
  using T = typename Network::value_type;
  using cpu = selfpatch::cpu;
  using trainer_type = selfpatch::trainer<Network>;
  using crops_type = typename Network::crops_type;
  using draws = selfpatch::drop_path_draws<T, cpu>;

 public:
  training_check(const fixture& recorded, report& to, cpu_context* on)
      : recorded_(recorded),
        about_(recorded.about()),
        to_(to),
        on_(on),
        trainer_(network(about_), {.patches = {.neighbors = about_.neighbors}, .clip = about_.clip},
                 0, on) {
    load("student", trainer_.student);
    load("teacher", trainer_.teacher);
    parts_ = {"global"};
    if (about_.local_views > 0) parts_.push_back("local");
  }

  void run() {
    for (index i = 0; i < about_.steps; ++i) step(i);
    weights("after/student/", trainer_.student);
    weights("after/teacher/", trainer_.teacher);
    moments();
    recorded_.compare_rest(to_);
  }

 private:
  static selfpatch::network_config network(const training_case& a) {
    selfpatch::head_config head{.hidden = a.hidden,
                                .bottleneck = a.bottleneck,
                                .out = a.out_image,
                                .norm_last_layer = a.norm_last_layer};
    selfpatch::network_config n{
        .depth = a.depth, .table = a.table, .image_head = head, .patch_head = head};
    n.patch_head.out = a.out_patch;
    return n;
  }

  void load(const std::string& who, Network& net) {
    for (auto& p : selfpatch::parameters<T, cpu>(net)) {
      const auto values = recorded_.weights(who, p.name, p.shape);
      std::copy(values.begin(), values.end(), p.value);
    }
  }

  std::vector<crops_type> crops(index i) const {
    std::vector<crops_type> all;
    for (const auto& part : parts_) {
      const numbers n = recorded_.crops(i, part);
      crops_type x(crops_type::shape_type::from(
                       {n.shape[0] * n.shape[1], n.shape[2], n.shape[3], n.shape[4]}),
                   on_);
      std::copy(n.values.begin(), n.values.end(), x.data());
      all.push_back(std::move(x));
    }
    return all;
  }

  std::vector<draws> kept_branches(index i) const {
    std::vector<draws> all(parts_.size());
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      const numbers n = recorded_.keep(i, parts_[part]);
      const std::size_t samples = n.values.empty() ? 0 : std::size_t(n.shape[2]);
      for (index branch = 0; samples > 0 && branch < 2 * about_.depth; ++branch) {
        const double rate =
            about_.depth > 1 ? about_.drop_path * double(branch / 2) / double(about_.depth - 1) : 0;
        tensor<T, shape<dyn>> keep(shape<dyn>(index(samples)), on_);
        for (std::size_t s = 0; s < samples; ++s)
          keep.data()[s] =
              n.values[std::size_t(branch) * samples + s] != 0 ? T(1 / (1 - rate)) : T(0);
        all[part].push_back(std::move(keep));
      }
    }
    return all;
  }

  void step(index i) {
    const auto& s = recorded_.steps()[std::size_t(i)];
    const std::string at = "step" + std::to_string(i) + "/";
    const bool first_or_last = i == 0 || i == about_.steps - 1;
    const auto x = crops(i);
    const auto drop = kept_branches(i);
    schedule(i);
    teacher(i, at, x);
    if (i == 0) student(at, x, drop);

    const selfpatch::step_values values{.lr = s.lr,
                                        .weight_decay = s.weight_decay,
                                        .momentum = s.momentum,
                                        .temperature = s.temperature,
                                        .patch_temperature = s.temperature,
                                        .frozen = s.frozen};
    trainer_.keep_frozen_gradients = first_or_last;
    trainer_.accumulate(x, drop, values);
    if (first_or_last) gradients(at);
    losses(i, trainer_.update(values));
    compare(at + "center", trainer_.center);
    compare(at + "patch_center", trainer_.patch_center);
  }

  void losses(index i, const selfpatch::step_report& made) {
    if (!made.refused.empty())
      throw error("parity: the step was refused, not finite: " + made.refused);
    constexpr bool in_double = std::is_same_v<T, double>;
    recorded_.compare_loss(to_, i, "total", made.loss, in_double);
    recorded_.compare_loss(to_, i, "image", made.loss_image, in_double);
    recorded_.compare_loss(to_, i, "patch", made.loss_patch, in_double);
  }

  void schedule(index i) {
    const auto& r = recorded_.schedule();
    const auto& s = recorded_.steps()[std::size_t(i)];
    const selfpatch::schedule plan{.steps = r.epochs * r.steps_per_epoch,
                                   .steps_per_epoch = r.steps_per_epoch,
                                   .warmup_steps = r.warmup_epochs * r.steps_per_epoch,
                                   .frozen_steps = r.frozen_epochs * r.steps_per_epoch,
                                   .peak_lr = r.peak_lr,
                                   .min_lr = r.min_lr,
                                   .weight_decay = r.weight_decay,
                                   .weight_decay_end = r.weight_decay_end,
                                   .momentum = r.momentum,
                                   .temperature = r.temperature,
                                   .warmup_temperature = r.warmup_temperature,
                                   .temperature_epochs = r.temperature_epochs};
    const auto made = plan.at(i);
    recorded_.compare_schedule(to_, i, "lr", made.lr, s.lr);
    recorded_.compare_schedule(to_, i, "weight_decay", made.weight_decay, s.weight_decay);
    recorded_.compare_schedule(to_, i, "momentum", made.momentum, s.momentum);
    recorded_.compare_schedule(to_, i, "temperature", made.temperature, s.temperature);
    recorded_.compare_schedule(to_, i, "frozen", made.frozen, s.frozen);
  }

  void teacher(index i, const std::string& at, const std::vector<crops_type>& x) {
    const auto made = trainer_.teacher.teacher(x, trainer_.config().patches);
    for (std::size_t part = 0; part < made.chosen.size(); ++part) {
      const auto& chosen = made.chosen[part].index;
      recorded_.compare_neighbors(to_, at + "neighbours." + parts_[part], chosen.extent(2),
                                  chosen.values());
    }
    if (i == 0) views(at + "teacher.", trainer_.teacher, x, made.tokens, made.image, made.patch);
  }

  void student(const std::string& at, const std::vector<crops_type>& x,
               const std::vector<draws>& drop) {
    selfpatch::tape tape;  // as the trainer calls it, so that it is compiled once
    std::vector<selfpatch::variable<crops_type>> seen;
    for (const auto& crops : x) seen.push_back(tape.constant(crops.clone()));
    const auto made = trainer_.student.student(seen, drop, trainer_.config().patches);
    views(at + "student.", trainer_.student, x, made.tokens, value_of(made.image),
          value_of(made.patch));
  }

  /// Tokens and logits, which are recorded by resolution.
  void views(const std::string& at, const Network& net, const std::vector<crops_type>& x,
             const auto& tokens, const auto& z_image, const auto& z_patch) {
    const auto image = net.image_head().logits(z_image);
    index row = 0;
    for (std::size_t part = 0; part < tokens.size(); ++part) {
      const index B = x[part].extent(0);
      compare(at + parts_[part] + ".tokens", value_of(tokens[part]));
      compare_rows(at + parts_[part] + ".image", image, row, B);
      row += B;
    }
    if constexpr (Network::has_patch_term) {
      const auto patch = net.patch_head().logits(z_patch);
      row = 0;
      for (std::size_t part = 0; part < tokens.size(); ++part) {
        const index R = value_of(tokens[part]).extent(0) * value_of(tokens[part]).extent(1);
        compare_rows(at + parts_[part] + ".patch", patch, row, R);
        row += R;
      }
    }
  }

  void gradients(const std::string& at) {
    for (const auto& p : selfpatch::parameters<T, cpu>(trainer_.student))
      if (p.gradient)
        recorded_.compare(to_, at + "grad/" + p.name,
                          std::span<const T>(p.gradient, std::size_t(p.size)));
  }
  void weights(const std::string& at, Network& net) {
    for (const auto& p : selfpatch::parameters<T, cpu>(net))
      recorded_.compare(to_, at + p.name, std::span<const T>(p.value, std::size_t(p.size)));
  }
  void moments() {
    const auto all = selfpatch::parameters<T, cpu>(trainer_.student);
    for (std::size_t i = 0; i < all.size(); ++i) {
      compare("after/exp_avg/" + all[i].name, trainer_.adam_m[i]);
      compare("after/exp_avg_sq/" + all[i].name, trainer_.adam_v[i]);
    }
  }

  void compare(const std::string& key, const auto& x) {
    recorded_.compare(to_, key, std::span<const T>(x.values()));
  }
  void compare_rows(const std::string& key, const auto& x, index first, index count) {
    const auto part = rows(x).slice(first, count);
    recorded_.compare(to_, key, std::span<const T>(part.data, std::size_t(part.rows * part.cols)));
  }

  const fixture& recorded_;
  const training_case& about_;
  report& to_;
  cpu_context* on_;
  trainer_type trainer_;
  std::vector<std::string> parts_;
};

template <vit_config C, class T>
void check_training(const fixture& recorded, report& to, cpu_context* on) {
  using network =
      typename std::conditional_t<C.class_token, std::type_identity<selfpatch::dino_network<C, T>>,
                                  std::type_identity<selfpatch::selfpatch_network<C, T>>>::type;
  training_check<network>(recorded, to, on).run();
}

template <vit_config C, class T>
void check_backbone(const recorded_backbone& recorded, report& to, cpu_context* on) {
  index depth = 0;
  while (recorded.weights.find("blocks." + std::to_string(depth) + ".norm1.weight")) ++depth;
  const index table = recorded.weights.at("pos_embed").size() / C.width - C.class_rows();
  selfpatch::vit<C, T> net(depth, index(std::lround(std::sqrt(double(table)))), on);
  selfpatch::for_each_parameter(
      net, [&](const std::string& name, auto& p) { recorded.weights.read(name, p.value); });

  for (const auto& entry : recorded.expected.tensors()) {
    if (!entry.name.ends_with("/images")) continue;
    const std::string pictures = entry.name.substr(0, entry.name.size() - 6);  // "square/"
    const auto made =
        net.intermediate(tensor_of<T, dyn, C.channels, dyn, dyn>(recorded.expected, entry.name), 2);
    for (std::size_t i = 0; i < 2; ++i) {
      const std::string key = pictures + (i == 0 ? "previous" : "last");
      const auto expected = values_of<double>(recorded.expected, key);
      compare_values(to, recorded.name + "/" + key, std::span<const T>(made[i].values()), expected,
                     rounding_allowed<T>(largest_of(expected)));
    }
  }
}

}  // namespace parity
