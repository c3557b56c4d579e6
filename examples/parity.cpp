// parity: everything recorded of the published method, from single operations to training runs,
// made again and compared. A folder is known by its files; a folder of such folders stands for all
// of them.
#include "parity_augment.hpp"
#include "parity_features.hpp"
#include "parity_knn.hpp"
#include "parity_odd.hpp"
#include "programs.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace parity {

template <class T>
void check_ops(const std::filesystem::path& folder, report& to);  // models/parity_ops_*.cpp

}  // namespace parity

namespace {

namespace fs = std::filesystem;
using parity::cpu_context;
using parity::precision;
using parity::report;

struct options : programs::common {
  std::vector<std::string> folders;
  std::string dtype;
  bool verbose = false;

  precision run_in() const {
    return dtype.empty() ? precision::recorded : dtype == "f32" ? precision::f32 : precision::f64;
  }
};

void check_ops(const fs::path& folder, precision run_in, report& to, cpu_context*) {
  run_in == precision::f32 ? parity::check_ops<float>(folder, to)
                           : parity::check_ops<double>(folder, to);
}

/// A kind of folder: how it is known, how it is checked.
struct kind {
  const char* what;
  bool (*is)(const fs::path&);
  void (*check)(const fs::path&, precision, report&, cpu_context*);
};

bool has_expected_tokens(const fs::path& folder) {
  return std::any_of(fs::directory_iterator(folder), fs::directory_iterator(),
                     [](const auto& entry) {
                       return entry.path().filename().string().ends_with(".expected.safetensors");
                     });
}

constexpr kind kinds[] = {
    {"a training run (fixture.json)", [](const fs::path& f) { return exists(f / "fixture.json"); },
     parity::check_fixture},
    {"operations (ops.json)", [](const fs::path& f) { return exists(f / "ops.json"); }, check_ops},
    {"backbones (*.expected.safetensors)", has_expected_tokens, parity::check_features},
    {"augmentation (cases.json with inputs/)",
     [](const fs::path& f) { return exists(f / "cases.json") && exists(f / "inputs"); },
     [](const fs::path& f, precision, report& to, cpu_context*) { parity::check_augment(f, to); }},
    {"k-NN (knn.safetensors)", [](const fs::path& f) { return exists(f / "knn.safetensors"); },
     parity::check_knn},
    {"odd data (expect.json)", [](const fs::path& f) { return exists(f / "expect.json"); },
     [](const fs::path& f, precision, report& to, cpu_context*) { parity::check_odd(f, to); }},
};

const kind* kind_of(const fs::path& folder) {
  const auto* found =
      std::find_if(std::begin(kinds), std::end(kinds), [&](const kind& k) { return k.is(folder); });
  return found == std::end(kinds) ? nullptr : found;
}

/// What a folder of folders holds, sorted by name.
struct holding {
  std::vector<fs::path> known, unknown;
};

holding within(const fs::path& folder) {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  holding found;
  for (const auto& sub : all) {
    const holding inner = kind_of(sub) ? holding{{sub}, {}} : within(sub);
    if (inner.known.empty()) {
      found.unknown.push_back(sub);
      continue;
    }
    found.known.insert(found.known.end(), inner.known.begin(), inner.known.end());
    found.unknown.insert(found.unknown.end(), inner.unknown.begin(), inner.unknown.end());
  }
  return found;
}

std::vector<fs::path> expand(const options& o) {
  std::vector<fs::path> folders;
  for (const auto& name : o.folders) {
    if (!fs::is_directory(name))
      throw selfpatch::error(
          selfpatch::problem{.what = "cannot read " + name, .expected = "a folder"});
    const holding found = kind_of(name) ? holding{{name}, {}} : within(name);
    if (found.known.empty()) {
      std::string known;
      for (const auto& k : kinds) known.append(known.empty() ? "" : ", ").append(k.what);
      throw selfpatch::error(selfpatch::problem{
          .what = "nothing recorded that is known here", .where = name, .expected = known});
    }
    if (!o.quiet)
      for (const auto& sub : found.unknown)
        std::fprintf(stderr, "parity: not checked: %s\n", sub.string().c_str());
    folders.insert(folders.end(), found.known.begin(), found.known.end());
  }
  return folders;
}

int run(int argc, char** argv) {
  options o;
  CLI::App app(
      "Repeats what was recorded and compares: training runs, operations, backbones, augmentation, "
      "evaluation, odd "
      "files. Examples:\n\n  parity tests/fixtures\n  parity tests/fixtures/tiny_f32 --dtype f64 --verbose\n",
      "parity");
  programs::common_options(app, o);
  app.add_option("DIR", o.folders, "folders of recorded values, or folders of such folders")
      ->required();
  app.add_option("--dtype", o.dtype, "number type to compute in; each folder's own if not given")
      ->check(CLI::IsMember({"f32", "f64"}));
  app.add_flag("--verbose", o.verbose, "print the worst element of every quantity");
  if (const auto status = programs::parse(app, argc, argv)) return *status;

  cpu_context on(o.threads);
  report to;
  to.verbose = o.verbose;
  for (const auto& folder : expand(o)) kind_of(folder)->check(folder, o.run_in(), to, &on);
  return to.print();
}

}  // namespace

int main(int argc, char** argv) { return programs::guarded(argc, argv, run); }
