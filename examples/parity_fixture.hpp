// parity_fixture: a recorded training run: a folder with fixture.json, expected.safetensors and,
// unless they are generated from seeds, student, teacher and inputs.safetensors.
//
// Reads what the run is given and compares what it makes; knows nothing of networks. With
// `deviation` the recorded difference between float and double, and M the largest value among
// tensors of one kind, allowed is
//
//   |x - expected| <= s (16 deviation + 2^-19 M)
//
//   s = 2^-27 in double on a fixture in double, else 1
//
// Tensors above a size are sampled at 127 places; their norm may differ by sqrt(n) times as much,
// their sum by n times.
#pragma once

#include <selfpatch/ops/neighbor_topk.hpp>

#include "parity_compare.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace parity {

/// What the run is: the model, its crops, its recipe.
struct training_case {
  bool plain = false;                       ///< DINO without patch term
  bool in_double = false;                   ///< recorded in double
  bool ties = false;                        ///< equal neighbors: choices are not recorded
  bool generated = false;                   ///< weights and crops follow from seeds
  selfpatch::grid global_size, local_size;  ///< pixels
  index local_views = 0, batch = 0, steps = 0, full = 512;
  double clip = 0;

  index width = 0, heads = 0, patch = 0, depth = 0, table = 0;  ///< table: side in patches
  index hidden = 0, bottleneck = 0, out_image = 0, out_patch = 0;
  double drop_path = 0;
  bool norm_last_layer = true;
  selfpatch::neighborhood neighbors;
};

/// What one step uses, and what came of it.
struct recorded_step {
  double lr, weight_decay, momentum, temperature;
  bool frozen;
  std::uint64_t crop_seed;
  std::map<std::string, double> losses, deviation;  ///< total, image, patch
};

/// The run's schedule.
struct recorded_schedule {
  index epochs, steps_per_epoch, warmup_epochs, frozen_epochs, temperature_epochs;
  double peak_lr, min_lr, weight_decay, weight_decay_end, momentum, temperature, warmup_temperature;
};

/// Numbers with a shape.
struct numbers {
  std::vector<index> shape;
  std::vector<float> values;
};

class fixture {
 public:
  /// Throws where the folder is not one of these.
  explicit fixture(const std::filesystem::path& folder);
  fixture(fixture&&) noexcept;
  ~fixture();

  const std::string& name() const;
  const training_case& about() const;
  const recorded_schedule& schedule() const;
  const std::vector<recorded_step>& steps() const;

  /// Initial values of a parameter of `who`, student or teacher: stored, or generated.
  std::vector<float> weights(const std::string& who, const std::string& parameter,
                             std::vector<index> shape) const;
  /// [views, B, 3, H, W] of a step; `part` is global or local.
  numbers crops(index step, const std::string& part) const;
  /// [depth, 2, views B], 1 where the student keeps a branch; empty without drop path.
  numbers keep(index step, const std::string& part) const;

  // What the run made, one row each in the report. Keys are those of expected.safetensors; a key
  // that is not there is not compared (see unmet).
  void compare(report& to, const std::string& key, std::span<const float> found) const;
  void compare(report& to, const std::string& key, std::span<const double> found) const;
  /// Neighbors (rows, K) as sets.
  void compare_neighbors(report& to, const std::string& key, index K,
                         std::span<const std::int32_t> found) const;
  void compare_loss(report& to, index step, const std::string& which, double found,
                    bool in_double) const;
  /// The schedule's own values against those recorded for a step.
  void compare_schedule(report& to, index step, const std::string& which, double found,
                        double recorded) const;
  /// Stored weights and inputs against the generator, and the recorded values that nothing was
  /// compared with.
  void compare_rest(report& to) const;

 private:
  struct contents;
  std::unique_ptr<contents> all_;
};

}  // namespace parity
