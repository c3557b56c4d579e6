// pretrain: the loop
//
//   pictures -> loader -> trainer -> health -> log, checkpoint
//
//   auto run = pretraining<selfpatch_network<vit_nano8>>(pictures, recipe, {.out = "run"});
//   run.train([](const auto& p) { std::cerr << p.step << ' ' << p.report.loss << '\n'; });
//   run.network().backbone(images);
//
// With `out` a run leaves RUN/log.jsonl, checkpoint.safetensors and backbone.safetensors, and goes
// on where a run of the same recipe in that folder was stopped. A step, and so a run, has the same
// bits for any number of threads and stops.
#pragma once

#include <selfpatch/data/loader.hpp>
#include <selfpatch/io/jsonl.hpp>
#include <selfpatch/train/health.hpp>
#include <selfpatch/train/plan.hpp>
#include <selfpatch/train/state.hpp>

#include <atomic>
#include <chrono>

namespace selfpatch {

/// What does not change the result of a run.
struct run_options {
  std::filesystem::path out;             ///< empty: nothing is written
  int threads = 0;                       ///< 0: one per processor
  index log_every = 10, save_every = 0;  ///< steps; save_every 0: every 10 minutes
  double max_bad = 0.001;
  double minutes = 0;  ///< more than 0: fixes the number of steps by timing the first ones
  const std::atomic<int>* stop = nullptr;  ///< not 0: save and stop after the step at work
  std::string command;                     ///< for the log
  string_map machine;                      ///< for the log
  profile* watching = nullptr;             ///< not null: collects the time of every op
};

/// After each step.
struct progress {
  index step = 0, steps = 0, epoch = 0, images = 0;
  step_values values;
  step_report report{};
  double images_per_second = 0,
         data_wait = 0;  ///< since the last progress; data_wait as a share of the time
  std::size_t memory = 0;
  bool logged = false;  ///< a line of the log: figures that cost a pass are filled in
  const selfpatch::health* condition = nullptr;
  std::vector<std::string> unreadable{};  ///< pictures met since the last progress
  std::string warning{};                  ///< something to tell the user once
};

enum class outcome { finished, already_finished, stopped, not_saved, broken };

/// Makes the folder of a run and sees that it is ours and can be written; leaves nothing behind
/// when it is not.
inline void prepare_folder(const std::filesystem::path& out) {
  namespace fs = std::filesystem;
  std::error_code code;
  if (fs::exists(out, code) && !fs::is_directory(out, code))
    throw error(
        problem{.what = "--out " + out.string(), .expected = "a folder", .found = "a file"});
  const bool ours = has_checkpoint(out) || fs::exists(out / "log.jsonl", code);
  if (fs::is_directory(out, code) && !fs::is_empty(out, code) && !ours)
    throw error(problem{.what = "--out " + out.string(),
                        .expected = "a new or empty folder, or a run to resume",
                        .found = "a folder with other files",
                        .hint = "take another --out"});
  fs::create_directories(out, code);
  if (code)
    throw write_error(
        problem{.what = "cannot make the folder " + out.string(), .where = code.message()});
  remove_stale(out);
  json_log_writer<> probe(out / "log.jsonl");  // throws write_error where nothing can be written
}

template <class Network>
class pretraining {
 public:
  using T = typename Network::value_type;
  using D = typename Network::device_type;
  using clock = std::chrono::steady_clock;

  pretraining(source pictures, const recipe& r, run_options options)
      : recipe_(r),
        options_(std::move(options)),
        pictures_(std::move(pictures)),
        on_(std::make_unique<context<D>>(options_.threads)),
        trainer_(r.network(Network::backbone_type::config), r.step(), r.seed, on_.get()) {
    recipe_.check(Network::backbone_type::config);
    if (!r.init.empty()) take_weights(r.init);
    loader_ = std::make_unique<loader>(pictures_, loading());
    schedule_ = recipe_.schedule_for(loader_->steps_per_epoch());
    at_.pictures = pictures_.size();
    if (!options_.out.empty())
      prepare_folder(options_.out);  // last: what cannot begin leaves nothing behind
    if (!options_.out.empty() && has_checkpoint(options_.out)) {
      at_ = load_state(options_.out, trainer_, recipe_, warning_);
      resumed_ = true;
      if (at_.pictures != pictures_.size())
        throw error(problem{.what = options_.out.string() + " holds a run on other pictures",
                            .expected = std::to_string(at_.pictures) + " pictures",
                            .found = std::to_string(pictures_.size()),
                            .hint = "give the same data, or take another --out"});
      fix_steps(at_.total_steps);
    }
  }

  const Network& network() const { return trainer_.teacher; }
  const trainer<Network>& state() const { return trainer_; }
  const progress_mark& at() const { return at_; }
  index steps() const { return schedule_.steps; }
  index steps_per_epoch() const { return loader_->steps_per_epoch(); }
  const selfpatch::health& condition() const { return health_; }
  bool resumed() const { return resumed_; }
  context<D>* on() { return on_.get(); }

  /// Trains to the end or until asked to stop; `observe(progress)` after every step.
  template <class F>
  outcome train(const F& observe) {
    if (resumed_ && at_.step >= schedule_.steps) return outcome::already_finished;
    if (options_.minutes > 0 && !resumed_) fix_steps_by_time();
    open_log();
    health_ = selfpatch::health(Network::has_patch_term, schedule_.momentum, schedule_.steps);
    loader_->seek(at_.step);
    on_->watch(options_.watching);
    const auto began = clock::now();
    auto last = began, last_save = began;
    double waited = 0;
    index since = 0;
    while (at_.step < schedule_.steps) {
      progress p{.values = schedule_.at(at_.step)};
      p.logged = (at_.step + 1) % options_.log_every == 0 || at_.step + 1 == schedule_.steps ||
                 at_.step == 0;
      p.report = one_step(p, waited);
      unreadable_ += index(p.unreadable.size());
      ++since;
      health_.add(p.report);
      fill(p, last, waited, since);
      if (p.logged) {
        write_log(p);
        last = clock::now();
        waited = 0;
        since = 0;
      }
      observe(static_cast<const progress&>(p));
      const bool stop = options_.stop && options_.stop->load() != 0;
      const bool due = options_.save_every > 0
                           ? at_.step % options_.save_every == 0
                           : clock::now() - last_save > std::chrono::minutes(10);
      if (stop || due || health_.broken() || at_.step == schedule_.steps) {
        save();
        last_save = clock::now();
      }
      if (health_.broken()) {
        write_end();
        return outcome::broken;
      }
      if (stop && at_.step < schedule_.steps) return saved_ ? outcome::stopped : outcome::not_saved;
    }
    write_end();
    return saved_ ? outcome::finished : outcome::not_saved;
  }

  /// Why the last save failed; empty if it did not.
  const std::string& save_problem() const { return save_problem_; }

 private:
  loader_options loading() const {
    return {.batch = recipe_.batch,
            .pieces = recipe_.accumulate,
            .views = recipe_.views(),
            .seed = recipe_.seed,
            .channels = int(Network::backbone_type::config.channels),
            .threads = std::max(1, on_->threads()),
            .cache_bytes = recipe_.cache_side ? std::size_t(1) << 30 : 0,
            .cache_side = recipe_.cache_side,
            .max_bad = options_.max_bad};
  }

  void take_weights(const std::string& weights) {
    const safetensors_file file(weights);
    start_from(trainer_.student.backbone, file);
    start_from(trainer_.teacher.backbone, file);
  }

  void fix_steps(index total) {
    recipe r = recipe_;
    r.steps = total;
    schedule_ = r.schedule_for(loader_->steps_per_epoch());
  }

  /// Three steps on a trainer that is thrown away tell how many fit into the minutes.
  void fix_steps_by_time() {
    trainer<Network> rehearsal(recipe_.network(Network::backbone_type::config), recipe_.step(),
                               recipe_.seed, on_.get());
    std::swap(rehearsal, trainer_);
    double seconds = 1e300;
    for (int i = 0; i < 3; ++i) {
      const auto from = clock::now();
      progress p{.values = schedule_.at(0)};
      double waited = 0;
      one_step(p, waited);
      seconds = std::min(seconds, std::chrono::duration<double>(clock::now() - from).count());
    }
    std::swap(rehearsal, trainer_);
    at_ = {.pictures = pictures_.size()};
    fix_steps(std::max<index>(1, index(options_.minutes * 60 / seconds)));
  }

  step_report one_step(progress& p, double& waited) {
    const index pieces = recipe_.accumulate;
    for (index piece = 0; piece < pieces; ++piece) {
      const batch& b = loader_->next();
      waited += b.wait;
      p.unreadable.insert(p.unreadable.end(), b.bad.begin(), b.bad.end());
      const index images = index(b.samples.size());
      std::vector<typename Network::crops_type> crops;
      std::vector<drop_path_draws<T, D>> drop;
      const auto add = [&](const picture_tensor& from, index first_view, index views) {
        crops.push_back(crops_of(from));
        drop.push_back(draw_drop_path<T, D>(recipe_.drop_path, trainer_.student.backbone.depth(),
                                            recipe_.seed, at_.step, piece * images, images,
                                            first_view, views, on_.get()));
      };
      add(b.global, 0, 2);
      if (recipe_.local_crops > 0) add(b.local, 2, recipe_.local_crops);
      trainer_.accumulate(crops, drop, p.values, 1 / double(pieces), p.logged && piece == 0);
    }
    step_report report = trainer_.update(p.values);
    ++at_.step;
    at_.images += recipe_.batch;
    at_.total_steps = schedule_.steps;
    return report;
  }

  auto crops_of(const picture_tensor& from) const {
    using crops = typename Network::crops_type;
    crops to(crops::shape_type::from(from.shape().extents()), uninitialized, on_.get());
    std::copy(from.values().begin(), from.values().end(), to.values().begin());
    return to;
  }

  void fill(progress& p, clock::time_point last, double waited, index since) {
    const double seconds = std::chrono::duration<double>(clock::now() - last).count();
    p.step = at_.step;
    p.steps = schedule_.steps;
    p.images = at_.images;
    p.epoch = (at_.step - 1) / loader_->steps_per_epoch();
    p.images_per_second = double(since * recipe_.batch) / std::max(seconds, 1e-9);
    p.data_wait = std::min(1.0, waited / std::max(seconds, 1e-9));
    p.memory = on_->arena().peak_bytes();
    p.condition = &health_;
    p.warning = std::exchange(warning_, {});
  }

  void open_log() {
    if (options_.out.empty()) return;
    const auto path = options_.out / "log.jsonl";
    if (resumed_) {
      truncate_after(path, at_.step);
    } else {
      std::filesystem::remove(path);
    }
    log_ = std::make_unique<json_log_writer<>>(path);
    if (resumed_) return;
    json_record config, machine, first;
    for (const auto& [name, value] : recipe_.text()) config.add(name, value);
    for (const auto& [name, value] : options_.machine) machine.add(name, value);
    first.add("config", config).add("machine", machine).add("command", options_.command);
    first.add("steps", schedule_.steps).add("steps_per_epoch", loader_->steps_per_epoch());
    first.add("pictures", pictures_.size());
    log_->write(first);
  }

  void write_log(const progress& p) {
    if (!log_) return;
    json_record r;
    r.add("step", p.step).add("epoch", p.epoch).add("images", p.images).add("loss", p.report.loss);
    r.add("loss_image", p.report.loss_image).add("loss_patch", p.report.loss_patch);
    r.add("lr", p.values.lr)
        .add("weight_decay", p.values.weight_decay)
        .add("momentum", p.values.momentum);
    r.add("temperature", p.values.temperature).add("patch_temperature", p.values.patch_temperature);
    const auto term = [&](const std::string& name, const distillation& d) {
      const double lnK = std::log(double(std::max<index>(2, d.prototypes)));
      r.add("teacher_entropy_" + name, d.teacher_entropy / lnK);
      r.add("mean_teacher_entropy_" + name, d.mean_teacher_entropy / lnK).add("kl_" + name, d.kl());
      r.add("dead_" + name, d.dead).add("prototypes_" + name, d.prototypes);
    };
    term("image", p.report.image);
    if (Network::has_patch_term) term("patch", p.report.patch);
    r.add("feature_std", p.report.feature_std)
        .add("neighbor_similarity", p.report.neighbor_similarity);
    r.add("grad_norm", p.report.grad_norm).add("images_per_second", p.images_per_second);
    r.add("data_wait", p.data_wait).add("memory_bytes", p.memory);
    if (unreadable_ > 0) r.add("unreadable", unreadable_);  // met since the run began or went on
    if (!p.report.refused.empty()) r.add("refused", p.report.refused);
    const verdict v = health_.judge();
    r.add("health", to_string(v.state)).add("health_image", to_string(health_.judge_image().state));
    r.add("health_patch", to_string(health_.judge_patch().state));
    if (!v.sentence.empty()) r.add("verdict", v.sentence);
    try {
      log_->write(r);
    } catch (const write_error& e) {
      save_problem_ = e.what();
    }
  }

  /// The log's last line: how the run went.
  void write_end() {
    if (!log_) return;
    const verdict v = health_.judge();
    json_record end, line;
    end.add("health", to_string(v.state)).add("verdict", v.sentence).add("images", at_.images);
    line.add("end", end);
    try {
      log_->write(line);
    } catch (const write_error& e) {
      save_problem_ = e.what();
    }
  }

  /// A disk that is full does not end a run: the old checkpoint stays, training goes on, the end
  /// says so.
  void save() {
    if (options_.out.empty()) return void(saved_ = true);
    try {
      const auto n =
          recipe_.views()
              .normalization;  // the backbone first: a finished checkpoint is the last word
      save_backbone(trainer_.teacher.backbone, options_.out / "backbone.safetensors",
                    recipe_.backbone_name(), triple(n.mean), triple(n.deviation));
      save_state(options_.out, trainer_, recipe_, at_);
      saved_ = true;
      save_problem_.clear();
    } catch (const write_error& e) {
      saved_ = false;
      save_problem_ = e.what();
      warning_ = save_problem_;
    }
  }

  template <class Numbers>
  static std::string triple(const Numbers& x) {
    return as_text(x[0]) + " " + as_text(x[1]) + " " + as_text(x[2]);
  }

  recipe recipe_;
  run_options options_;
  source pictures_;
  std::unique_ptr<context<D>> on_;
  trainer<Network> trainer_;
  std::unique_ptr<loader> loader_;
  schedule schedule_;
  progress_mark at_;
  selfpatch::health health_{Network::has_patch_term, 0.9, 1000};
  std::unique_ptr<json_log_writer<>> log_;
  bool resumed_ = false, saved_ = false;
  index unreadable_ = 0;
  std::string save_problem_, warning_;
};

}  // namespace selfpatch
