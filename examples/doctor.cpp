// doctor: looks at data before a run: how many pictures, how large, which cannot be read, which are
// there twice, mean and deviation of the colors, which preset fits, and how long things take on
// this machine.
#include <selfpatch/cpu/gemm.hpp>
#include <selfpatch/data/decode.hpp>
#include <selfpatch/data/loader.hpp>
#include <selfpatch/data/open_source.hpp>
#include <selfpatch/io/hash.hpp>

#include "programs.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace {

namespace sp = selfpatch;

struct options : programs::common {
  std::vector<std::string> data;
  sp::index most = 20000;
  int show = 5;
  sp::decode_options decode;
};

/// What one picture told.
struct finding {
  sp::index number = 0;
  std::string unreadable;  ///< why; empty if it can be read
  std::uint64_t hash = 0;
  std::size_t bytes = 0;
  int width = 0, height = 0;
  bool grey = false, deep_grey = false, turned = false;
  std::array<std::uint64_t, 3> sum{}, squares{};
};

bool is_grey(const sp::image& p) {
  for (std::size_t i = 0; i < p.bytes(); i += 3)
    if (p.pixels[i] != p.pixels[i + 1] || p.pixels[i] != p.pixels[i + 2]) return false;
  return true;
}

/// A PNG says 16 bits and grey in the first bytes of its header.
bool is_deep_grey(sp::bytes_view file) {
  return sp::sniff(file) == sp::format::png && file.size() > 25 &&
         sp::detail::byte_at(file, 24) == 16 && sp::detail::byte_at(file, 25) == 0;
}

finding look_at(const sp::source& from, sp::index number) {
  finding f;
  f.number = number;
  try {
    const std::vector<std::byte> file = from.bytes(number);
    const sp::image p = from.picture(number);
    f.bytes = file.size();
    f.hash =
        file.empty() ? sp::xxh64(std::as_bytes(std::span(p.pixels))) : sp::xxh64(std::span(file));
    f.width = p.width;
    f.height = p.height;
    f.grey = is_grey(p);
    f.deep_grey = is_deep_grey(file);
    f.turned = sp::orientation(file) != 1;
    for (std::size_t i = 0; i < p.bytes(); ++i) {
      f.sum[i % 3] += p.pixels[i];
      f.squares[i % 3] += std::uint64_t(p.pixels[i]) * p.pixels[i];
    }
  } catch (const sp::error& e) {
    f.unreadable = e.what();
  }
  return f;
}

/// At most `most` pictures, evenly spread; 0 means all.
std::vector<finding> look_at_all(const sp::source& from, sp::index most, int threads, bool quiet) {
  const sp::index count = most > 0 ? std::min(most, from.size()) : from.size();
  std::vector<finding> found(static_cast<std::size_t>(count));
  sp::thread_pool pool(threads);
  constexpr sp::index round = 512;
  for (sp::index begin = 0; begin < count; begin += round) {
    pool(std::min(round, count - begin), [&](sp::index i) {
      const sp::index at = begin + i;
      found[std::size_t(at)] =
          look_at(from, sp::index(double(at) * double(from.size()) / double(count)));
    });
    if (!quiet && count > round)
      std::fprintf(stderr, "doctor: %td of %td\n", std::min(count, begin + round), count);
  }
  return found;
}

void print_sizes(const std::vector<finding>& readable) {
  constexpr std::array<int, 9> edges{1, 32, 64, 96, 128, 224, 256, 512, 1024};
  std::array<std::size_t, edges.size()> counts{};
  int least_width = 1 << 30, most_width = 0, least_height = 1 << 30, most_height = 0;
  for (const finding& f : readable) {
    const int side = std::min(f.width, f.height);
    ++counts[std::size_t(std::upper_bound(edges.begin(), edges.end(), side) - edges.begin()) - 1];
    least_width = std::min(least_width, f.width), most_width = std::max(most_width, f.width);
    least_height = std::min(least_height, f.height), most_height = std::max(most_height, f.height);
  }
  std::printf("sizes: %d..%d wide, %d..%d high\n", least_width, most_width, least_height,
              most_height);
  const std::size_t largest = *std::max_element(counts.begin(), counts.end());
  for (std::size_t b = 0; b < edges.size(); ++b) {
    if (counts[b] == 0) continue;
    const std::string range =
        b + 1 < edges.size() ? std::to_string(edges[b]) + ".." + std::to_string(edges[b + 1] - 1)
                             : std::to_string(edges[b]) + " and more";
    const std::string bar(std::max<std::size_t>(1, counts[b] * 40 / largest), '#');
    std::printf("  shorter side %-13s %8zu  %s\n", range.c_str(), counts[b], bar.c_str());
  }
}

void print_kinds(const std::vector<finding>& readable) {
  const auto count = [&](auto property) {
    return std::count_if(readable.begin(), readable.end(), property);
  };
  const auto grey = count([](const finding& f) { return f.grey; });
  const auto deep = count([](const finding& f) { return f.deep_grey; });
  const auto turned = count([](const finding& f) { return f.turned; });
  std::printf("channels: %td color, %td grey\n", std::ptrdiff_t(readable.size()) - grey, grey);
  if (deep > 0)
    std::printf("  %td are 16-bit grey: consider --grey16 shift (the default clips at 255)\n",
                deep);
  if (turned > 0) std::printf("  %td say they are to be turned (EXIF): consider --exif\n", turned);
}

void print_unreadable(const std::vector<finding>& all, int show) {
  std::size_t bad = 0;
  for (const finding& f : all) bad += !f.unreadable.empty();
  std::printf("unreadable: %zu\n", bad);
  for (const finding& f : all) {
    if (f.unreadable.empty()) continue;
    if (show-- <= 0) return void(std::printf("  ...\n"));
    std::printf("  %s\n", f.unreadable.c_str());
  }
}

void print_duplicates(const sp::source& from, const std::vector<finding>& readable, int show) {
  std::map<std::pair<std::uint64_t, std::size_t>, sp::index> first;
  std::vector<std::pair<sp::index, sp::index>> twice;
  for (const finding& f : readable) {
    const auto [at, is_new] = first.try_emplace({f.hash, f.bytes}, f.number);
    if (!is_new) twice.emplace_back(f.number, at->second);
  }
  std::printf("duplicates: %zu\n", twice.size());
  for (const auto& [again, before] : twice) {
    if (show-- <= 0) return void(std::printf("  ...\n"));
    std::printf("  %s = %s\n", from.name(again).c_str(), from.name(before).c_str());
  }
}

void print_colors(const std::vector<finding>& readable) {
  double pixels = 0;
  std::array<double, 3> mean{}, deviation{};
  for (const finding& f : readable) pixels += double(f.width) * f.height;
  for (std::size_t c = 0; c < 3; ++c) {
    double sum = 0, squares = 0;
    for (const finding& f : readable) sum += double(f.sum[c]), squares += double(f.squares[c]);
    mean[c] = sum / pixels / 255;
    deviation[c] = std::sqrt(std::max(0.0, squares / pixels / 255 / 255 - mean[c] * mean[c]));
  }
  std::printf("mean: %.4f %.4f %.4f   std: %.4f %.4f %.4f   (samples 0..1)\n", mean[0], mean[1],
              mean[2], deviation[0], deviation[1], deviation[2]);
}

/// A preset of `pretrain`, why, and what a picture costs it.
struct suggestion {
  const char *preset, *why;
  sp::multi_crop views;
  double gflop;  ///< forward and backward of all views, per picture
};

suggestion suggest(sp::index pictures, int median_side, bool generated) {
  constexpr double nano = 1.04, tiny = 60, small = 168;
  if (generated) return {"demo", "generated scenes", sp::small_crops(), nano};
  if (median_side < 160) return {"photos", "small pictures", sp::small_crops(), nano};
  if (pictures <= 50'000)
    return {"photos", "up to some ten thousand pictures", sp::small_crops(), nano};
  if (pictures <= 1'000'000) return {"workstation", "some hundred thousand pictures", {}, tiny};
  return {"published", "a million pictures or more", {}, small};
}

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

/// Pictures decoded and made views of per second.
double views_per_second(const sp::source& from, const std::vector<finding>& readable,
                        const suggestion& s, int threads) {
  sp::thread_pool pool(threads);
  const auto began = std::chrono::steady_clock::now();
  sp::index done = 0;
  while (seconds_since(began) < 0.7) {
    pool(4 * pool.threads(), [&](sp::index i) {
      const sp::index sample = readable[std::size_t(done + i) % readable.size()].number;
      const sp::image p = from.picture(sample);
      for (int v = 0; v < s.views.views(); ++v) {
        const sp::view_recipe& recipe = s.views.recipe(v);
        std::vector<float> chw(std::size_t(3 * recipe.size * recipe.size));
        sp::make_view(p, recipe, s.views.normalization, {0, 0, sample, v}, chw.data());
      }
    });
    done += 4 * pool.threads();
  }
  return double(done) / seconds_since(began);
}

/// What a matrix product of a size that occurs in training reaches here, GFLOP/s.
double measured_gflops(int threads) {
  constexpr sp::index M = 768, N = 384, K = 384;
  sp::context<sp::cpu> on(threads);
  std::vector<float> a(M * K, 1.0f), b(N * K, 1.0f), c(M * N);
  const auto multiply = [&] {
    sp::gemm(&on, sp::transpose::no, sp::transpose::yes, M, N, K, 1.0f, a.data(), K, b.data(), K,
             0.0f, c.data(), N);
  };
  multiply();
  const auto began = std::chrono::steady_clock::now();
  double flops = 0;
  for (; seconds_since(began) < 0.5; flops += 2.0 * M * N * K) multiply();
  return flops / seconds_since(began) * 1e-9;
}

/// Pictures a training run gets through per second: all but the matrix products costs as much
/// again, and it cannot be faster than its pictures arrive.
double training_per_second(const suggestion& s, double gflops, double loaded) {
  constexpr double share_in_products = 0.5;
  return std::min(loaded, gflops * share_in_products / s.gflop);
}

std::string duration(double seconds) {
  char text[32];
  if (seconds < 120)
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  else if (seconds < 2 * 3600)
    std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  else if (seconds < 48 * 3600)
    std::snprintf(text, sizeof text, "%.1f h", seconds / 3600);
  else
    std::snprintf(text, sizeof text, "%.1f days", seconds / 86400);
  return text;
}

void print_times(const sp::source& from, const std::vector<finding>& readable, const options& o,
                 bool generated) {
  std::vector<int> sides;
  for (const finding& f : readable) sides.push_back(std::min(f.width, f.height));
  std::nth_element(sides.begin(), sides.begin() + std::ptrdiff_t(sides.size() / 2), sides.end());
  const suggestion s = suggest(from.size(), sides[sides.size() / 2], generated);
  std::printf("preset: %s (%s)\n", s.preset, s.why);
  const double loaded = views_per_second(from, readable, s, o.threads),
               gflops = measured_gflops(o.threads);
  const double trained = training_per_second(s, gflops, loaded);
  std::printf("speed: %.3g pictures/s read and made views of, %.3g GFLOP/s in matrix products\n",
              loaded, gflops);
  std::printf(
      "time: about %.2g pictures/s in training: %s for a pass over the data, %s for 100,000 "
      "pictures\n",
      trained, duration(double(from.size()) / trained).c_str(), duration(1e5 / trained).c_str());
}

int run(int argc, char** argv) {
  options o;
  CLI::App app(
      "Looks at data before a run: counts, sizes, unreadable and duplicate files, colors, a preset "
      "that fits "
      "and the time it takes here.");
  app.footer("Examples:\n  doctor photos/\n  doctor shards/*.tar --most 0\n  doctor scenes:100");
  app.add_option("DATA", o.data, "folders, lists (.txt), shards (.tar), scenes:N")->required();
  app.add_option("--most", o.most, "pictures to look at, evenly spread; 0: all")
      ->capture_default_str();
  app.add_option("--show", o.show, "unreadable and duplicate files named")->capture_default_str();
  app.add_option("--max-pixels", o.decode.max_pixels, "larger pictures count as unreadable")
      ->capture_default_str();
  programs::common_options(app, o);
  if (const auto ends = programs::parse(app, argc, argv)) return *ends;

  const sp::source from = sp::open_sources(o.data, sp::decode, o.decode);
  for (const std::string& line : from.warnings())
    std::fprintf(stderr, "doctor: %s\n", line.c_str());
  const std::vector<finding> all = look_at_all(from, o.most, o.threads, o.quiet);
  std::vector<finding> readable;
  double bytes = 0;
  for (const finding& f : all)
    if (f.unreadable.empty()) readable.push_back(f), bytes += double(f.bytes);

  std::printf("pictures: %td", from.size());
  if (sp::index(all.size()) < from.size()) std::printf(", %zu of them looked at", all.size());
  std::printf(", %.1f MB\n", bytes / 1e6);
  print_unreadable(all, o.show);
  if (readable.empty()) throw sp::error("not one picture can be read");
  print_duplicates(from, readable, o.show);
  print_sizes(readable);
  print_kinds(readable);
  print_colors(readable);
  const auto is_scenes = [](const std::string& d) { return d.starts_with("scenes:"); };
  print_times(from, readable, o, std::all_of(o.data.begin(), o.data.end(), is_scenes));
  return programs::done;
}

}  // namespace

int main(int argc, char** argv) { return programs::guarded(argc, argv, run); }
