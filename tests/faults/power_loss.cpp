#include <selfpatch/io/checkpoint.hpp>

#include "faults/recorded_files.hpp"

#include <array>

namespace sp = selfpatch;

namespace {

using faults::record;

const std::vector<std::string> generations{"checkpoint.safetensors",
                                           "checkpoint.previous.safetensors"};

/// Some 1.5 kB: three blocks and more.
void save(const std::filesystem::path& folder, int x, record* log = nullptr) {
  std::array<float, 300> w;
  w.fill(float(x));
  const std::array views{sp::view_of("w", std::span(w), {300})};
  if (!log) return sp::save_checkpoint(folder, views);
  sp::save_checkpoint(folder, views, {}, faults::recorded_files{log});
  log->acknowledge();
}

/// What a folder in this state loads; 0 if it loads nothing.
int loaded(const std::filesystem::path& folder, const faults::folder_state& state) {
  for (const auto& name : generations) std::filesystem::remove(folder / name);
  for (const auto& [name, content] : state) write_bytes(folder / name, content);
  try {
    const auto c = sp::load_checkpoint(folder);
    std::array<float, 300> w{};
    c.file.read_into(c.file.at("w"), std::span(w));
    for (const float x : w)
      if (x != w[0]) return -1;
    return int(w[0]);
  } catch (const sp::error&) {
    return 0;
  }
}

struct verdict {
  int states = 0, bad = 0;
};

/// Cuts the power at every moment of the recorded saves first+1, first+2, ...: the newest
/// acknowledged generation or the one in progress must load.
verdict cut_power(const record& log, int first) {
  const temporary_folder scratch;
  std::map<faults::folder_state, int> known;
  verdict v;
  v.states = faults::for_power_cuts(log, generations,
                                    [&](const faults::folder_state& state, int acknowledged) {
                                      const auto [at, fresh] = known.try_emplace(state, 0);
                                      if (fresh) at->second = loaded(scratch.path(), state);
                                      const int newest = first + acknowledged;
                                      v.bad += at->second != newest && at->second != newest + 1;
                                    });
  return v;
}

}  // namespace

TEST_CASE("a power cut at any moment of three saves leaves the acknowledged checkpoint or the next",
          "[faults][checkpoint]") {
  const temporary_folder scratch;
  record log(scratch.path());
  log.links = GENERATE(true, false);
  for (int x = 1; x <= 3; ++x) save(scratch.path(), x, &log);
  const auto v = cut_power(log, 0);
  CHECK(v.bad == 0);
  CHECK(v.states > 50);
}

TEST_CASE(
    "a power cut while saving over a rotten checkpoint leaves the good one before, or the new one",
    "[faults][checkpoint]") {
  const temporary_folder scratch;
  save(scratch.path(), 1);
  save(scratch.path(), 99);
  const auto newest = sp::checkpoint_path(scratch.path());
  write_bytes(newest, file_bytes(newest).replace(900, 1, "?"));
  record log(scratch.path());
  log.links = GENERATE(true, false);
  save(scratch.path(), 2, &log);
  CHECK(cut_power(log, 1).bad == 0);
}

TEST_CASE("the model of power cuts finds what each sync is there for", "[faults][checkpoint]") {
  const temporary_folder scratch;
  record log(scratch.path());
  SECTION("files that are not synced before they are renamed") { log.drop_file_sync = true; }
  SECTION("a folder that is not synced") { log.drop_folder_sync = true; }
  for (int x = 1; x <= 2; ++x) save(scratch.path(), x, &log);
  CHECK(cut_power(log, 0).bad > 0);
}
