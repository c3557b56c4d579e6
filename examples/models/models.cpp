// The list of architectures at run time: from a name or a file to the code compiled for it.
#include "models.hpp"

#include <selfpatch/nn/weights.hpp>

#include "instance_declarations.hpp"

namespace selfpatch {

namespace {

struct entry {
  const architecture* arch;
  std::unique_ptr<any_backbone> (*read)(const safetensors_file&, context<cpu>*);
  std::unique_ptr<any_backbone> (*untrained)(std::uint64_t, index, index, context<cpu>*);
  run_result (*pretrain)(const recipe&, run_options, const source&, const run_observer&);
};

/// The file in models/ that instantiates an architecture.
constexpr std::string_view file_of(std::string_view name) {
  for (const std::string_view family : {"dinov2_", "dino_"})
    if (name.starts_with(family)) return family.substr(0, family.size() - 1);
  return name;
}

/// True where the build has it: SELFPATCH_MODELS is "all" or a list of files, separated by commas.
constexpr bool is_built(std::string_view name) {
  const std::string_view built = SELFPATCH_MODELS, file = file_of(name);
  if (built == "all") return true;
  for (std::size_t at = 0; at < built.size();) {
    const std::size_t end = std::min(built.find(',', at), built.size());
    if (built.substr(at, end - at) == file) return true;
    at = end + 1;
  }
  return false;
}

template <std::size_t I>
constexpr entry entry_of() {
  constexpr architecture a = architectures[I];
  entry e{&architectures[I], nullptr, nullptr, nullptr};
  if constexpr (is_built(a.name)) {
    e.read = &instance<a.config>::read;
    e.untrained = &instance<a.config>::untrained;
    if constexpr (a.trains) e.pretrain = &trained_instance<a.config>::pretrain;
  }
  return e;
}

constexpr auto entries = []<std::size_t... I>(std::index_sequence<I...>) {
  return std::array{entry_of<I>()...};
}
(std::make_index_sequence<architectures.size()>());

const entry& find(std::string_view name) {
  std::string known;
  for (const auto& e : entries) {
    if (!e.read) continue;
    if (name == e.arch->name) return e;
    known.append(known.empty() ? "" : ", ").append(e.arch->name);
  }
  throw error(problem{.what = "--arch", .expected = "one of " + known, .found = std::string(name)});
}

/// Three numbers, as the metadata of a backbone spell mean and std.
void read_triple(const safetensors_file& file, const char* key, std::array<float, 3>& to) {
  const auto at = file.metadata().find(key);
  if (at == file.metadata().end()) return;
  const char *p = at->second.data(), *end = p + at->second.size();
  std::array<float, 3> values{};
  for (float& v : values) {
    while (p != end && *p == ' ') ++p;
    const auto r = std::from_chars(p, end, v);
    if (r.ec != std::errc())
      throw error(problem{.what = file.name(),
                          .where = std::string("metadata ") + key,
                          .expected = "three numbers",
                          .found = at->second});
    p = r.ptr;
  }
  to = values;
}

}  // namespace

const architecture& find_architecture(std::string_view name) { return *find(name).arch; }

std::unique_ptr<any_backbone> load_backbone(const std::filesystem::path& weights,
                                            context<cpu>* on) {
  const safetensors_file file(weights);
  const weights_info info = inspect_weights(file);
  const entry* chosen = nullptr;
  for (const auto& e : entries) {
    if (!e.read || !fits(e.arch->config, info)) continue;
    if (!chosen || info.architecture == e.arch->name) chosen = &e;
  }
  if (!chosen)
    throw error(problem{
        .what = file.name() + " holds a backbone that is not in the list of architectures",
        .found = "width " + std::to_string(info.width) + ", patch " +
                 std::to_string(info.patch_rows) + ", " + std::to_string(info.channels) +
                 " channels" + (info.class_token ? ", class token" : "") +
                 (info.registers ? ", " + std::to_string(info.registers) + " registers" : "") +
                 (info.final_norm ? ", final norm" : ""),
        .hint = "add it to examples/models.hpp"});
  auto b = chosen->read(file, on);
  b->name = info.architecture.empty() ? chosen->arch->name : info.architecture;
  read_triple(file, "mean", b->mean);
  read_triple(file, "std", b->deviation);
  return b;
}

std::unique_ptr<any_backbone> untrained_backbone(std::string_view name, std::uint64_t seed,
                                                 index depth, index table, context<cpu>* on) {
  auto b = find(name).untrained(seed, depth, table, on);
  b->name = std::string(name);
  return b;
}

std::unique_ptr<any_backbone> open_backbone(const std::string& what, context<cpu>* on) {
  const std::string_view prefix = "untrained:";
  if (!what.starts_with(prefix)) return load_backbone(what, on);
  std::string name = what.substr(prefix.size());
  std::uint64_t seed = 0;
  if (const auto colon = name.find(':'); colon != std::string::npos) {
    const char* end = name.data() + name.size();
    if (std::from_chars(name.data() + colon + 1, end, seed).ptr != end)
      throw error(problem{
          .what = what, .expected = "untrained:ARCH:SEED", .found = name.substr(colon + 1)});
    name.resize(colon);
  }
  return untrained_backbone(name, seed, 0, 0, on);
}

run_result run_pretraining(const architecture& arch, const recipe& r, run_options options,
                           const source& pictures, const run_observer& observer) {
  const entry& e = find(arch.name);
  if (!e.pretrain) {
    std::string known;
    for (const auto& one : entries)
      if (one.pretrain) known.append(known.empty() ? "" : ", ").append(one.arch->name);
    throw error(problem{.what = "--arch",
                        .expected = "one that trains: " + known,
                        .found = arch.name,
                        .hint = "for DINO take the plain name and --method dino"});
  }
  return e.pretrain(r, std::move(options), pictures, observer);
}

}  // namespace selfpatch
