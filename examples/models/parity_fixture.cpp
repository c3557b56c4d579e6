// The reader of recorded training runs.
#include "parity_fixture.hpp"

#include "parity_files.hpp"
#include "parity_hashed.hpp"

#include <cmath>
#include <set>

namespace parity {

namespace {

constexpr index samples = 127;

// What fixture.json says of an expected tensor.
struct expectation {
  std::vector<index> shape;
  double max = 0, deviation = 0, sum = 0, norm = 0;
  bool sampled = false;

  index size() const {
    index n = 1;
    for (const index e : shape) n *= e;
    return n;
  }
};

// Tensors that share one largest value.
std::string kind_of(const std::string& key) {
  const bool grouped = key.find("/grad/") != std::string::npos || key.starts_with("after/");
  return grouped ? key.substr(0, key.rfind('/')) : key;
}

training_case read_case(const json& document) {
  const json &c = document.at("case"), &a = document.at("architecture");
  const auto size = [](const json& j) {
    return selfpatch::grid{j.at(0).get<index>(), j.at(1).get<index>()};
  };
  training_case t;
  t.plain = c.at("model") == "plain";
  t.in_double = c.at("dtype") == "f64";
  t.ties = c.at("ties").get<bool>();
  t.generated = c.at("generated").get<bool>();
  t.global_size = size(c.at("global_size"));
  t.local_size = size(c.at("local_size"));
  t.local_views = c.at("local_count").get<index>();
  t.batch = c.at("batch_size").get<index>();
  t.steps = c.at("steps").get<index>();
  t.full = c.at("full").get<index>();
  t.clip = c.at("clip").get<double>();
  t.width = a.at("embed").get<index>();
  t.heads = a.at("heads").get<index>();
  t.patch = a.at("patch").get<index>();
  t.depth = a.at("depth").get<index>();
  t.table = a.at("table").get<index>() / t.patch;
  t.hidden = a.at("hidden").get<index>();
  t.bottleneck = a.at("bottleneck").get<index>();
  t.out_image = a.at("out_image").get<index>();
  t.out_patch = a.at("out_patch").get<index>();
  t.drop_path = a.at("drop_path").get<double>();
  t.norm_last_layer = a.at("norm_last_layer").get<bool>();
  t.neighbors = {
      .k = a.at("k").get<index>(),
      .radius = a.at("radius").get<index>(),
      .edge = a.at("border") == "torus" ? selfpatch::border::torus : selfpatch::border::clamped};
  if (a.at("mlp_ratio") != 4)
    throw error(problem{.what = "parity: models here have MLPs four times as wide",
                        .where = "architecture.mlp_ratio",
                        .expected = "4",
                        .found = a.at("mlp_ratio").dump()});
  return t;
}

recorded_schedule read_schedule(const json& s) {
  return {.epochs = s.at("epochs").get<index>(),
          .steps_per_epoch = s.at("steps_per_epoch").get<index>(),
          .warmup_epochs = s.at("warmup_epochs").get<index>(),
          .frozen_epochs = s.at("frozen_epochs").get<index>(),
          .temperature_epochs = s.at("warmup_temperature_epochs").get<index>(),
          .peak_lr = s.at("lr").get<double>() * s.at("batch").get<double>() / 256,
          .min_lr = s.at("min_lr").get<double>(),
          .weight_decay = s.at("weight_decay").get<double>(),
          .weight_decay_end = s.at("weight_decay_end").get<double>(),
          .momentum = s.at("momentum").get<double>(),
          .temperature = s.at("temperature").get<double>(),
          .warmup_temperature = s.at("warmup_temperature").get<double>()};
}

std::vector<recorded_step> read_steps(const json& steps) {
  std::vector<recorded_step> all;
  for (const json& s : steps) {
    recorded_step r{.lr = s.at("lr").get<double>(),
                    .weight_decay = s.at("weight_decay").get<double>(),
                    .momentum = s.at("momentum").get<double>(),
                    .temperature = s.at("temperature").get<double>(),
                    .frozen = s.at("frozen").get<bool>(),
                    .crop_seed = s.at("crop_seed").get<std::uint64_t>(),
                    .losses = {},
                    .deviation = {}};
    for (const auto& [which, value] : s.at("losses").items()) r.losses[which] = value.get<double>();
    for (const auto& [which, value] : s.at("deviation").items())
      r.deviation[which] = value.get<double>();
    all.push_back(std::move(r));
  }
  return all;
}

std::map<std::string, expectation> read_expectations(const json& expected) {
  std::map<std::string, expectation> all;
  for (const auto& [key, e] : expected.items())
    all[key] = {.shape = e.at("shape").get<std::vector<index>>(),
                .max = e.value("max", 0.0),
                .deviation = e.value("deviation", 0.0),
                .sum = e.value("sum", 0.0),
                .norm = e.value("norm", 0.0),
                .sampled = e.value("sampled", false)};
  return all;
}

// u times the scale of the parameter; scales are powers of two.
std::vector<float> generated_weights(const std::string& name, const std::vector<index>& shape,
                                     std::uint64_t seed) {
  index size = 1;
  for (const index e : shape) size *= e;
  std::vector<float> u = hashed(name, seed, size);
  const auto all = [&](float offset, float scale) {
    for (float& x : u) x = offset + x * scale;
  };
  if (name.ends_with("weight_g"))
    all(1, 0);
  else if (name.ends_with("_token") || name.ends_with("pos_embed"))
    all(0, 0.5f);
  else if (shape.size() == 1 && name.find("norm") != std::string::npos && name.ends_with("weight"))
    all(1, 0.25f);
  else if (shape.size() == 1)
    all(0, 0.125f);
  else
    all(0,
        float(std::exp2(std::floor(std::log2(std::sqrt(3.0 * double(shape[0]) / double(size)))))));
  return u;
}

}  // namespace

struct fixture::contents {
  std::string name;
  training_case about;
  recorded_schedule schedule;
  std::vector<recorded_step> steps;
  std::map<std::string, std::uint64_t> weight_seeds;
  std::map<std::string, expectation> expected;
  std::map<std::string, double> largest;  // by kind
  safetensors_file values;
  std::map<std::string, safetensors_file> stored;  // student, teacher, inputs
  mutable std::set<std::string> met;

  contents(const std::filesystem::path& folder, const json& document)
      : name(detail::folder_name(folder)),
        about(read_case(document)),
        schedule(read_schedule(document.at("schedule"))),
        steps(read_steps(document.at("steps"))),
        expected(read_expectations(document.at("expected"))),
        values(folder / "expected.safetensors") {
    for (const char* who : {"student", "teacher"})
      weight_seeds[who] = document.at("weight_seeds").at(who).get<std::uint64_t>();
    if (index(steps.size()) != about.steps)
      throw error(problem{.what = "cannot use " + folder.string(),
                          .where = "steps",
                          .expected = std::to_string(about.steps),
                          .found = std::to_string(steps.size())});
    for (const auto& [key, e] : expected) {
      double& most = largest[kind_of(key)];
      most = std::max(most, e.max);
    }
    if (about.generated) return;
    for (const char* file : {"student", "teacher", "inputs"})
      stored.emplace(file, safetensors_file(folder / (std::string(file) + ".safetensors")));
  }

  index views(const std::string& part) const { return part == "global" ? 2 : about.local_views; }
  selfpatch::grid pixels(const std::string& part) const {
    return part == "global" ? about.global_size : about.local_size;
  }

  std::vector<float> make_weights(const std::string& who, const std::string& parameter,
                                  const std::vector<index>& shape) const {
    auto made = generated_weights(parameter, shape, weight_seeds.at(who));
    if (about.ties && parameter == "backbone.pos_embed") std::fill(made.begin(), made.end(), 0.0f);
    return made;
  }

  numbers make_crops(index step, const std::string& part) const {
    const auto size = pixels(part);
    const std::uint64_t seed = steps[std::size_t(step)].crop_seed;
    numbers n{{views(part), about.batch, 3, size.rows, size.cols}, {}};
    const index planes = views(part) * about.batch * 3, p = about.patch;
    n.values = hashed(part, seed, about.ties ? planes * 2 * p * p : planes * size.size());
    for (float& x : n.values) x *= 2;
    if (!about.ties) return n;
    // two patches side by side, in turn: patch (r, c) of a plane is the one number (r + c) mod 2
    std::vector<float> board(std::size_t(planes * size.size()));
    for (index i = 0; i < index(board.size()); ++i) {
      const index x = i % size.cols, y = i / size.cols % size.rows, plane = i / size.size();
      const index from = (x + y / p % 2 * p) % (2 * p);
      board[std::size_t(i)] = n.values[std::size_t((plane * p + y % p) * 2 * p + from)];
    }
    n.values = std::move(board);
    return n;
  }

  numbers make_keep(index step, const std::string& part) const {
    if (about.drop_path == 0) return {};
    numbers n{{about.depth, 2, views(part) * about.batch}, {}};
    const index per_block = 2 * n.shape[2];
    n.values = hashed("keep." + part, steps[std::size_t(step)].crop_seed, about.depth * per_block);
    for (index i = 0; i < index(n.values.size()); ++i) {
      const double rate =
          about.depth > 1 ? about.drop_path * double(i / per_block) / double(about.depth - 1) : 0;
      float& u = n.values[std::size_t(i)];
      u = double(u) < 2 * (1 - rate) - 1;
    }
    return n;
  }

  const expectation* expectation_of(const std::string& key) const {
    met.insert(key);
    const auto at = expected.find(key);
    return at == expected.end() ? nullptr : &at->second;
  }

  double scale(bool in_double) const { return in_double && about.in_double ? 0x1p-27 : 1; }

  template <class T>
  void compare(report& to, const std::string& key, std::span<const T> found) const {
    const expectation* e = expectation_of(key);
    if (!e) return;
    const auto recorded = values_of<double>(values, key);
    const double allowed =
        scale(std::is_same_v<T, double>) * (16 * e->deviation + 0x1p-19 * largest.at(kind_of(key)));
    const std::string row = name + "/" + key;
    const index n = index(found.size());
    if (n != e->size())
      return to.quantity(row, std::numeric_limits<double>::infinity(), allowed,
                         std::to_string(n) + " values, expected " + std::to_string(e->size()));
    if (!e->sampled) return compare_values(to, row, found, recorded, allowed);
    std::vector<T> picked(samples);
    double sum = 0, squares = 0;
    for (index j = 0; j < samples; ++j)
      picked[std::size_t(j)] = found[std::size_t(j * n / samples)];
    for (const T x : found) sum += double(x), squares += double(x) * double(x);
    compare_values(to, row, std::span<const T>(picked), recorded, allowed);
    to.quantity(row + " (norm)", std::abs(std::sqrt(squares) - e->norm),
                allowed * std::sqrt(double(n)));
    to.quantity(row + " (sum)", std::abs(sum - e->sum), allowed * double(n));
  }

  // The stored numbers of a file against those the generator makes.
  void compare_stored(report& to, const std::string& file) const {
    std::size_t differing = 0, total = 0;
    for (const auto& entry : stored.at(file).tensors()) {
      const auto made =
          file == "inputs" ? make_input(entry.name) : make_weights(file, entry.name, entry.shape);
      const auto kept = float_values(stored.at(file), entry.name);
      for (std::size_t i = 0; i < kept.size(); ++i)
        differing += i >= made.size() || made[i] != kept[i];
      total += kept.size();
    }
    to.exact(name + "/" + file + " as generated", differing, total);
  }
  std::vector<float> make_input(
      const std::string& key) const {  // step{i}/global, step{i}/keep.global
    const index step = std::stol(key.substr(4));
    const std::string part = key.substr(key.find('/') + 1);
    return part.starts_with("keep.") ? make_keep(step, part.substr(5)).values
                                     : make_crops(step, part).values;
  }
  static std::vector<float> float_values(const safetensors_file& file, const std::string& key) {
    if (file.at(key).dtype != selfpatch::dtype::u8) return values_of<float>(file, key);
    const auto bytes = values_of<std::uint8_t>(file, key);
    return {bytes.begin(), bytes.end()};
  }
};

fixture::fixture(const std::filesystem::path& folder) {
  const json document = detail::read_json(folder / "fixture.json");
  detail::explaining(folder, [&] { all_ = std::make_unique<contents>(folder, document); });
}
fixture::fixture(fixture&&) noexcept = default;
fixture::~fixture() = default;

const std::string& fixture::name() const { return all_->name; }
const training_case& fixture::about() const { return all_->about; }
const recorded_schedule& fixture::schedule() const { return all_->schedule; }
const std::vector<recorded_step>& fixture::steps() const { return all_->steps; }

std::vector<float> fixture::weights(const std::string& who, const std::string& parameter,
                                    std::vector<index> shape) const {
  if (all_->about.generated) return all_->make_weights(who, parameter, shape);
  const auto& file = all_->stored.at(who);
  static_cast<void>(file.at(parameter, shape));
  return values_of<float>(file, parameter);
}

numbers fixture::crops(index step, const std::string& part) const {
  if (all_->about.generated) return all_->make_crops(step, part);
  const auto& file = all_->stored.at("inputs");
  const std::string key = "step" + std::to_string(step) + "/" + part;
  return {file.at(key).shape, values_of<float>(file, key)};
}

numbers fixture::keep(index step, const std::string& part) const {
  if (all_->about.drop_path == 0 || all_->about.generated) return all_->make_keep(step, part);
  const auto& file = all_->stored.at("inputs");
  const std::string key = "step" + std::to_string(step) + "/keep." + part;
  return {file.at(key).shape, contents::float_values(file, key)};
}

void fixture::compare(report& to, const std::string& key, std::span<const float> found) const {
  all_->compare(to, key, found);
}
void fixture::compare(report& to, const std::string& key, std::span<const double> found) const {
  all_->compare(to, key, found);
}

void fixture::compare_neighbors(report& to, const std::string& key, index K,
                                std::span<const std::int32_t> found) const {
  if (!all_->expectation_of(key)) return;
  const auto expected = values_of<std::int32_t>(all_->values, key);
  const auto row_as_set = [K](std::span<const std::int32_t> all, std::size_t r) {
    const auto row = all.subspan(r * std::size_t(K), std::size_t(K));
    return std::multiset<std::int32_t>(row.begin(), row.end());
  };
  const std::size_t rows = K > 0 ? expected.size() / std::size_t(K) : 0;
  std::size_t others = found.size() == expected.size() ? 0 : std::max<std::size_t>(rows, 1);
  if (others == 0)
    for (std::size_t r = 0; r < rows; ++r)
      others += row_as_set(found, r) != row_as_set(expected, r);
  to.exact(all_->name + "/" + key, others, rows);
}

void fixture::compare_loss(report& to, index step, const std::string& which, double found,
                           bool in_double) const {
  const auto& s = all_->steps[std::size_t(step)];
  if (!s.losses.contains(which)) return;
  const double expected = s.losses.at(which);
  const double allowed =
      all_->scale(in_double) * (16 * s.deviation.at(which) + 0x1p-19 * std::abs(expected));
  compare_values(to, all_->name + "/step" + std::to_string(step) + "/loss." + which,
                 std::span<const double>(&found, 1), std::span<const double>(&expected, 1),
                 allowed);
}

void fixture::compare_schedule(report& to, index step, const std::string& which, double found,
                               double recorded) const {
  compare_values(to, all_->name + "/step" + std::to_string(step) + "/" + which,
                 std::span<const double>(&found, 1), std::span<const double>(&recorded, 1),
                 1e-13 * std::abs(recorded));
}

void fixture::compare_rest(report& to) const {
  for (const auto& [file, tensors] : all_->stored) all_->compare_stored(to, file);
  std::size_t unmet = 0;
  std::string first;
  for (const auto& [key, e] : all_->expected) {
    if (all_->met.contains(key)) continue;
    if (unmet++ == 0) first = key;
  }
  to.exact(all_->name + "/recorded values that the run did not make", unmet, all_->expected.size(),
           first);
}

}  // namespace parity
