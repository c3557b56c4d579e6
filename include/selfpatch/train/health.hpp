// health: what a run's figures say, in words
//
// With H = entropy of a teacher's target, M = entropy of the mean target (both as shares of ln K)
// and KL = cross-entropy less H:
//
//   uniform collapse         H near 1: every prototype equally likely, nothing is taught
//   one-prototype collapse   M near 0: every picture has the same target
//   no information           M - H near 0: targets do not depend on the picture;
//                            (M - H) ln K are nats of information
//   teacher not moving       its momentum's memory is longer than the run
//
// Each term has a verdict of its own: the patch term can die unseen behind its weight of 0.1. A
// verdict is given on running means, after a settling time, so that one odd batch says nothing.
#pragma once

#include <selfpatch/train/trainer.hpp>

#include <array>
#include <charconv>

namespace selfpatch {

/// From good to hopeless.
enum class condition { settling, ok, warning, collapsed, broken };

inline const char* to_string(condition c) {
  constexpr std::array names{"settling", "ok", "warning", "collapsed", "broken"};
  return names[std::size_t(c)];
}

struct verdict {
  condition state = condition::settling;
  std::string sentence;  ///< empty while all is well
};

/// The limits a term is judged by, as shares of ln K but for the last.
struct health_limits {
  double uniform = 0.98;  ///< H above it: uniform collapse
  double nearly_uniform = 0.95;
  double one_prototype = 0.10;  ///< M below it: one-prototype collapse
  double information = 0.01;    ///< M - H below it: targets say nothing
  double kl = 0.002;            ///< nats; below it there is nothing to learn
};

/// Running means of one term.
class term_health {
 public:
  /// `memory` in steps.
  explicit term_health(std::string name = "", double memory = 50)
      : name_(std::move(name)), rate_(1 / memory) {}

  void add(const distillation& d) {
    const double lnK = std::log(double(std::max<index>(2, d.prototypes)));
    const double r = std::max(rate_, 1.0 / double(++seen_));
    const auto move = [r](double& mean, double x) { mean += r * (x - mean); };
    move(H_, d.teacher_entropy / lnK);
    move(M_, d.mean_teacher_entropy / lnK);
    move(kl_, d.kl());
    move(loss_, d.cross_entropy / lnK);
  }

  double H() const { return H_; }
  double M() const { return M_; }
  double kl() const { return kl_; }
  index seen() const { return seen_; }

  verdict judge(const health_limits& l = {}) const {
    if (double(seen_) * rate_ < 1) return {};
    if (H_ > l.uniform)
      return {condition::collapsed,
              "the " + name_ + " term has collapsed to uniform: teacher entropy " + text(H_) +
                  " of ln K, loss " + text(loss_) +
                  " of ln K; lower its teacher temperature by a third, or lower the learning rate"};
    if (M_ < l.one_prototype)
      return {condition::collapsed,
              "the " + name_ + " term has collapsed to a few prototypes: entropy of the mean " +
                  "target " + text(M_) + " of ln K; raise its teacher temperature by a third"};
    if (M_ - H_ < l.information)
      return {condition::warning,
              "the targets of the " + name_ + " term hardly depend on the picture: M - H " +
                  text(M_ - H_) + " of ln K; lower its teacher temperature, or use a larger batch"};
    if (H_ > l.nearly_uniform)
      return {condition::warning, "the " + name_ + " term is nearly uniform: teacher entropy " +
                                      text(H_) +
                                      " of ln K; lower its teacher temperature by a third"};
    if (kl_ < l.kl)
      return {condition::warning,
              "the " + name_ + " term has nothing left to learn: KL " + text(kl_) + " nats"};
    return {condition::ok, ""};
  }

 private:
  static std::string text(double x) {
    char buffer[32];
    const auto r = std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::fixed, 3);
    return {buffer, r.ptr};
  }

  std::string name_;
  double rate_, H_ = 0, M_ = 0, kl_ = 0, loss_ = 0;
  index seen_ = 0;
};

/// All of a run.
class health {
 public:
  /// The teacher's first momentum and the length of the run decide whether the teacher can follow.
  health(bool has_patch_term, double momentum, index steps)
      : has_patch_(has_patch_term),
        memory_(momentum < 1 ? 1 / (1 - momentum) : 1e300),
        steps_(steps) {}

  void add(const step_report& r) {
    if (!r.refused.empty()) {
      ++refused_;
      last_refused_ = r.refused;
      ++in_a_row_;
      return;
    }
    in_a_row_ = 0;
    image_.add(r.image);
    if (has_patch_) patch_.add(r.patch);
    if (r.feature_std > 0) feature_std_ = r.feature_std;
  }

  const term_health& image() const { return image_; }
  const term_health& patch() const { return patch_; }
  index refused() const { return refused_; }
  /// So many steps in a row were refused that going on is no use.
  bool broken() const { return in_a_row_ >= 10; }

  verdict judge_image() const { return image_.judge(); }
  verdict judge_patch() const { return has_patch_ ? patch_.judge() : verdict{condition::ok, ""}; }

  /// The worst of everything.
  verdict judge() const {
    verdict worst = judge_image();
    const auto consider = [&](verdict v) {
      if (v.state > worst.state) worst = std::move(v);
    };
    consider(judge_patch());
    if (feature_std_ < 0.05 && image_.seen() > 50)
      consider(
          {condition::collapsed, "all patches have nearly the same features (spread below 0.05)"});
    if (memory_ > double(steps_))
      consider({condition::warning,
                "the teacher hardly moves: its memory, 1 / (1 - momentum), is longer than the run; "
                "lower --momentum to 1 - 20 / steps"});
    if (broken())
      consider({condition::broken,
                "10 steps in a row were refused because of " + last_refused_ +
                    " (not finite); weights are those of the last good step; lower --lr or look at "
                    "the pictures"});
    if (refused_ > 0)
      consider({condition::warning,
                std::to_string(refused_) + " steps were refused, the last because of " +
                    last_refused_ + " (not finite); weights are those of the step before"});
    return worst;
  }

 private:
  bool has_patch_;
  double memory_;
  index steps_;
  term_health image_{"image"}, patch_{"patch"};
  double feature_std_ = 1;
  index refused_ = 0, in_a_row_ = 0;
  std::string last_refused_;
};

}  // namespace selfpatch
