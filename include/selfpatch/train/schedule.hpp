// schedule: learning rate, weight decay, teacher momentum and temperatures as functions of the step
//
//   lr         0 .. peak linearly over the warm-up, both ends included (step 0 has lr 0),
//              then half a cosine down to min_lr
//   decay      half a cosine from weight_decay to weight_decay_end
//   momentum   likewise, to momentum_end
//   T          linear over its warm-up epochs, both ends included, then constant
//
// A cosine from a to b over n steps is b + (a - b)(1 + cos(pi i / n)) / 2 at step i: b is
// approached, not reached. All in double, as the published code has it.
#pragma once

#include <selfpatch/core/shape.hpp>

#include <cmath>
#include <numbers>

namespace selfpatch {

/// What one step uses.
struct step_values {
  double lr = 0, weight_decay = 0, momentum = 0;
  double temperature = 0.04, patch_temperature = 0.04;  ///< of the teacher
  bool frozen = false;                                  ///< last layers do not move
};

struct schedule {
  index steps = 1;  ///< of the whole run
  index steps_per_epoch = 1;
  index warmup_steps = 0;
  index frozen_steps = 0;
  double peak_lr = 5e-4;  ///< already scaled by the batch
  double min_lr = 1e-6;
  double weight_decay = 0.04, weight_decay_end = 0.4;
  double momentum = 0.996, momentum_end = 1;
  double temperature = 0.04, warmup_temperature = 0.04;
  index temperature_epochs = 0;  ///< epochs of the temperature's warm-up
  double patch_temperature = 0;  ///< 0: as the image term's

  step_values at(index step) const {
    const double T = temperature_at(step / steps_per_epoch);
    return {.lr = lr_at(step),
            .weight_decay = cosine(weight_decay, weight_decay_end, step, steps),
            .momentum = cosine(momentum, momentum_end, step, steps),
            .temperature = T,
            .patch_temperature = patch_temperature > 0 ? patch_temperature : T,
            .frozen = step < frozen_steps};
  }

  static double cosine(double from, double to, index step, index n) {
    return to + 0.5 * (from - to) * (1 + std::cos(std::numbers::pi * double(step) / double(n)));
  }

 private:
  double lr_at(index step) const {
    if (step < warmup_steps)
      return warmup_steps > 1 ? peak_lr * double(step) / double(warmup_steps - 1) : 0;
    return cosine(peak_lr, min_lr, step - warmup_steps, steps - warmup_steps);
  }
  double temperature_at(index epoch) const {
    if (epoch >= temperature_epochs) return temperature;
    const double share =
        temperature_epochs > 1 ? double(epoch) / double(temperature_epochs - 1) : 0;
    return warmup_temperature + (temperature - warmup_temperature) * share;
  }
};

}  // namespace selfpatch
