// pretrain DATA... --out RUN: SelfPatch, or DINO, on your own pictures.
#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/data/decode.hpp>
#include <selfpatch/data/open_source.hpp>

#include "models.hpp"
#include "programs.hpp"
#include "progress_line.hpp"
#include "run_pictures.hpp"

#include <fmt/format.h>

#include <csignal>
#include <fstream>

namespace sp = selfpatch;

namespace {

std::atomic<int> stop_signal{0};

void on_signal(int s) { stop_signal.store(s); }

void catch_signals() {
  for (int s : {SIGINT, SIGTERM, SIGUSR1}) std::signal(s, on_signal);
}

struct settings {
  std::vector<std::string> data;
  std::string out, preset, precision = "f32", grey = "";
  double minutes = 0;
  long log_every = 10, save_every = 0;
  double max_bad = 0.001;
  std::size_t max_pixels = sp::decode_options{}.max_pixels;
  bool plan_only = false, profile = false;
};

/// One option per field of the recipe.
void recipe_options(CLI::App& app, sp::recipe& r) {
  const auto group = "recipe";
  sp::recipe::visit(r, [&]<class V>(const char* name, V& field, const char* help) {
    const std::string option = "--" + std::string(name);
    if (option == "--seed") return;  // common to all programs
    CLI::Option* o = nullptr;
    if constexpr (std::is_same_v<V, bool>) {
      o = app.add_flag(option + ",!--no-" + name, field, help);
    } else if constexpr (std::is_same_v<V, sp::range>) {
      o = app.add_option(option, field, help);
    } else if constexpr (std::is_enum_v<V>) {
      o = app.add_option_function<std::string>(
          option,
          [&field, option](const std::string& found) {
            std::string known;
            for (const auto& [word, value] : sp::words<V>()) {
              if (found == word) return void(field = value);
              known.append(known.empty() ? "" : ", ").append(word);
            }
            throw sp::error(
                sp::problem{.what = option, .expected = "one of " + known, .found = found});
          },
          help);
      o->default_str(sp::as_text(field));
    } else {
      o = app.add_option(option, field, help);
    }
    if constexpr (!std::is_enum_v<V> && !std::is_same_v<V, bool>) o->capture_default_str();
    o->group(group);
  });
}

/// The preset changes the defaults that the options then start from, so it is looked up first.
std::string preset_of(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view a = argv[i];
    if (a == "--preset" && i + 1 < argc) return argv[i + 1];
    if (a.starts_with("--preset=")) return std::string(a.substr(9));
  }
  return "published";
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

sp::string_map machine(int threads) {
  return {{"cpu", cpu_name()},
          {"threads", std::to_string(threads)},
          {"compiler", __VERSION__},
          {"version", programs::version_text()}};
}

/// GFLOP/s of a matrix product of the size that trains, the best of some.
double measured_gflops(int threads) {
  sp::context<sp::cpu> on(threads);
  const sp::index n = 512;
  const std::vector<float> a(std::size_t(n * n), 1.f), b = a;
  std::vector<float> c(a.size());
  double best = 0;
  for (int i = 0; i < 8; ++i) {
    const auto from = std::chrono::steady_clock::now();
    sp::gemm(&on, sp::transpose::no, sp::transpose::yes, n, n, n, 1.f, a.data(), n, b.data(), n,
             0.f, c.data(), n);
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
    best = std::max(best, 2e-9 * double(n * n * n) / s);
  }
  return best;
}

/// What the run will take. A step reaches about six tenths of the rate of a bare matrix product.
void print_plan(const sp::recipe& r, const sp::architecture& arch, const sp::schedule& s,
                int threads, double minutes, std::FILE* to) {
  const sp::plan p = sp::make_plan(r, arch.config);
  const double rate = 0.6 * measured_gflops(threads) * 1e9 / p.flops_per_image;
  fmt::print(to, "plan: {} {}, {:.1f} M parameters, {:.1f} M of them the backbone's\n",
             sp::as_text(r.learn), r.backbone_name(), double(p.parameters) * 1e-6,
             double(p.backbone_parameters) * 1e-6);
  fmt::print(to,
             "plan: memory {:.0f} MiB: weights and moments {:.0f}, activations {:.0f}; checkpoint "
             "{:.0f} MiB on disk\n",
             p.bytes() / 1048576, p.weight_bytes / 1048576, p.activation_bytes / 1048576,
             p.checkpoint_bytes / 1048576);
  fmt::print(to, "plan: {:.1f} GFLOP per image, about {:.1f} images/s with {} threads here\n",
             p.flops_per_image * 1e-9, rate, threads);
  if (minutes > 0) {
    fmt::print(to, "plan: {} minutes, about {:.0f} steps of {} images\n", minutes,
               minutes * 60 * rate / double(r.batch), r.batch);
    return;
  }
  fmt::print(to, "plan: {} steps of {} images, {} an epoch; about {}\n", s.steps, r.batch,
             s.steps_per_epoch, programs::duration_text(double(s.steps * r.batch) / rate));
}

/// Where the time of the steps went, and the rate of what counts its operations beside that of a
/// bare matrix product.
void print_profile(const sp::profile& seen, int threads) {
  auto stages = seen.stages();
  std::sort(stages.begin(), stages.end(),
            [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  double all = 0;
  for (const auto& s : stages) all += s.seconds;
  const double most = measured_gflops(threads);
  fmt::print("profile: {:<28} {:>8} {:>10} {:>7} {:>9} {:>6}\n", "op", "calls", "seconds", "share",
             "GFLOP/s", "of max");
  for (const auto& s : stages) {
    fmt::print("profile: {:<28} {:>8} {:>10.3f} {:>6.1f}%", s.name, s.calls, s.seconds,
               100 * s.seconds / all);
    if (s.flops > 0)
      fmt::print(" {:>9.1f} {:>5.0f}%", 1e-9 * s.flops / s.seconds,
                 1e-7 * s.flops / s.seconds / most);
    fmt::print("\n");
  }
  fmt::print("profile: in all {:.3f} s; a matrix product of 512^3 alone reaches {:.1f} GFLOP/s\n",
             all, most);
}

void print_preset(const sp::recipe& r, const std::string& name) {
  const auto defaults = sp::recipe{}.text(), now = r.text();
  std::string changed;
  for (std::size_t i = 0; i < now.size(); ++i)
    if (defaults[i].second != now[i].second)
      changed.append(" --").append(now[i].first).append(" ").append(now[i].second);
  fmt::print(stderr, "preset {}:{}\n", name, changed.empty() ? " the published values" : changed);
}

int status_of(const sp::run_result& result) {
  switch (result.how) {
    case sp::outcome::stopped:
      return stop_signal.load() == SIGINT ? 130 : 75;
    case sp::outcome::not_saved:
      return programs::cannot_write;
    case sp::outcome::broken:
      return programs::check_failed;
    default:
      return programs::done;
  }
}

int run(int argc, char** argv) {
  settings s;
  sp::recipe r;
  programs::common common;
  s.preset = preset_of(argc, argv);
  sp::find_preset(s.preset).apply(r);

  CLI::App app(
      "Pretrains a vision transformer on pictures, by SelfPatch or DINO. Examples:\n\n"
      "  pretrain photos/ --preset photos --minutes 60 --out run\n"
      "  pretrain shards/*.tar --arch vit_small16 --epochs 200 --batch 256 --accumulate 16 --out "
      "run\n"
      "  pretrain scenes:3000 --preset demo --minutes 5 --out run\n");
  app.add_option("data", s.data, "folders, lists (.txt), .tar shards, scenes:N; mixed")->required();
  app.add_option("--out", s.out, "the run's folder; a run of the same recipe in it goes on");
  std::string names;
  for (const auto& p : sp::presets)
    names.append(names.empty() ? "" : "; ").append(p.name).append(": ").append(p.what);
  app.add_option("--preset", s.preset, names)->capture_default_str();
  app.add_option("--minutes", s.minutes,
                 "length of the run, instead of epochs: three steps are timed first");
  app.add_option("--precision", s.precision, "f32")->capture_default_str();
  app.add_option("--log-every", s.log_every, "steps between lines of the log")
      ->capture_default_str();
  app.add_option("--save-every", s.save_every, "steps between checkpoints; 0: ten minutes")
      ->capture_default_str();
  app.add_option("--max-bad", s.max_bad, "share of unreadable pictures that is tolerated")
      ->capture_default_str();
  app.add_option("--max-pixels", s.max_pixels, "largest picture that is read")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--plan", s.plan_only, "print what the run would take, and end");
  app.add_flag("--profile", s.profile, "end with a table of where the time went, by op");
  programs::common_options(app, common);
  recipe_options(app, r);
  if (const auto status = programs::parse(app, argc, argv)) return *status;
  programs::only_cpu(common);
  r.seed = common.seed;

  if (s.precision != "f32")
    throw sp::error(sp::problem{.what = "--precision", .expected = "f32", .found = s.precision});
  const auto demand = [](bool holds, const char* option, const char* expected, const auto& found) {
    if (!holds)
      throw sp::error(
          sp::problem{.what = option, .expected = expected, .found = sp::as_text(found)});
  };
  demand(s.log_every >= 1, "--log-every", "1 or more", s.log_every);
  demand(s.save_every >= 0, "--save-every", "0 or more", s.save_every);
  demand(s.minutes >= 0 && s.minutes <= 1e7, "--minutes", "0 to 1e7", s.minutes);
  demand(s.max_bad >= 0 && s.max_bad <= 1, "--max-bad", "a share, 0 to 1", s.max_bad);
  demand(common.threads >= 0, "--threads", "0 or more", common.threads);
  demand(s.preset == preset_of(argc, argv), "preset", "--preset on the command line",
         std::string("one in the file of --config"));
  const sp::architecture& arch = sp::find_architecture(r.arch);
  r.check(arch.config);
  const int threads =
      common.threads > 0 ? common.threads : std::max(1, int(std::thread::hardware_concurrency()));
  const sp::source pictures = sp::open_sources(s.data, sp::decode,
                                               {.max_pixels = s.max_pixels,
                                                .channels = int(arch.config.channels),
                                                .grey16 = r.grey16,
                                                .exif = r.exif});
  if (r.batch > pictures.size())
    throw sp::error(sp::problem{
        .what = "the batch is larger than the data",
        .expected = "at most " + std::to_string(pictures.size()) + " pictures in a batch",
        .found = std::to_string(r.batch),
        .hint = "lower --batch or add pictures"});
  if (!common.quiet)
    for (const auto& w : pictures.warnings()) fmt::print(stderr, "pretrain: {}\n", w);
  const auto forecast = r.schedule_for(pictures.size() / r.batch);
  if (s.plan_only) {
    print_plan(r, arch, forecast, threads, s.minutes, stdout);
    return programs::done;
  }
  if (s.out.empty())
    throw sp::error(sp::problem{.what = "--out is missing", .hint = "name a folder for the run"});
  if (!common.quiet) {
    if (s.preset != "published") print_preset(r, s.preset);
    print_plan(r, arch, forecast, threads, s.minutes, stderr);
  }

  catch_signals();
  programs::progress_line line(common.quiet);
  sp::run_options options{.out = s.out,
                          .threads = threads,
                          .log_every = s.log_every,
                          .save_every = s.save_every,
                          .max_bad = s.max_bad,
                          .minutes = s.minutes,
                          .stop = &stop_signal,
                          .command = programs::command_line(argc, argv),
                          .machine = machine(threads)};
  sp::profile seen;
  if (s.profile) options.watching = &seen;
  programs::run_pictures drawn(s.out, s.data, pictures, r);
  std::size_t unreadable = 0;
  const sp::run_observer observer{
      .begun = [&](const sp::any_backbone& b, const sp::progress_mark& at) { drawn.begun(b, at); },
      .stepped =
          [&](const sp::progress& p) {
            unreadable += p.unreadable.size();
            line.show(p);
          },
      .reached = [&](const sp::any_backbone& b, const sp::progress_mark& at,
                     bool end) { drawn.reached(b, at, end); }};
  const sp::run_result result =
      sp::run_pretraining(arch, r, std::move(options), pictures, observer);
  line.end();
  if (result.how != sp::outcome::already_finished) drawn.report();

  if (s.profile) print_profile(seen, threads);
  if (!result.save_problem.empty()) fmt::print(stderr, "pretrain: {}\n", result.save_problem);
  if (result.how == sp::outcome::already_finished) {
    if (!common.quiet) fmt::print(stderr, "pretrain: {} is finished, nothing to do\n", s.out);
    return programs::done;
  }
  fmt::print("pretrain: {} step {} of {}, {} images, {}health {}{}{}\n",
             result.how == sp::outcome::stopped ? "stopped," : "done,", result.at.step,
             result.at.total_steps, result.at.images,
             unreadable ? std::to_string(unreadable) + " unreadable pictures left out, " : "",
             to_string(result.condition.state), result.condition.sentence.empty() ? "" : ": ",
             result.condition.sentence);
  return status_of(result);
}

}  // namespace

int main(int argc, char** argv) { return programs::guarded(argc, argv, run); }
