// models: the list of architectures the programs know, each compiled once in models/NAME.cpp, and
// what programs do with one whatever its type: read a backbone from any weight file, pretrain.
//
// Adding an architecture: a line in `architectures` and a file in models/.
#pragma once

#include <selfpatch/train/pretrain.hpp>

#include <functional>
#include <memory>

namespace selfpatch {

constexpr vit_config grey(vit_config c) {
  c.channels = 1;
  return c;
}

struct architecture {
  const char* name;
  vit_config config;
  bool trains;  ///< can be pretrained here, with SelfPatch and as DINO; the others are read
};

inline constexpr std::array architectures{
    architecture{"vit_nano8", vit_nano8, true},
    architecture{"vit_nano8_grey", grey(vit_nano8), true},
    architecture{"vit_tiny16", vit_tiny16, true},
    architecture{"vit_small16", vit_small16, true},
    architecture{"vit_small8", vit_small8, true},
    architecture{"vit_base16", vit_base16, true},
    architecture{"dino_nano8", as_dino(vit_nano8), false},
    architecture{"dino_tiny16", as_dino(vit_tiny16), false},
    architecture{"dino_small16", as_dino(vit_small16), false},
    architecture{"dino_small8", as_dino(vit_small8), false},
    architecture{"dino_base16", as_dino(vit_base16), false},
    architecture{"dinov2_small14", dinov2_small14, false},
    architecture{"dinov2_small14_registers", dinov2_small14_registers, false}};

/// The one of this name; throws an error that lists the names.
const architecture& find_architecture(std::string_view name);

using pictures_tensor = tensor<float, shape<dyn, dyn, dyn, dyn>>;  ///< (B, C, H, W), normalized
using any_tokens = tensor<float, shape<dyn, dyn, dyn>>;            ///< (B, prefix + N, W)

/// A backbone, whatever its type.
class any_backbone {
 public:
  virtual ~any_backbone() = default;
  /// Tokens after each of the last `count` blocks, the last one last; with the final norm where the
  /// backbone has one.
  virtual std::vector<any_tokens> tokens(const pictures_tensor& pictures,
                                         index count = 1) const = 0;
  virtual const vit_config& config() const = 0;
  virtual index depth() const = 0;

  std::string name;
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f},
      deviation{0.229f, 0.224f, 0.225f};  ///< of the pictures, in 0..1
};

/// Reads any weight file whose architecture is in the list: ours, the published ones (converted),
/// timm's.
std::unique_ptr<any_backbone> load_backbone(const std::filesystem::path& weights,
                                            context<cpu>* on = nullptr);

/// Starting weights, as training begins with for this seed: what trained ones are compared with.
/// `table` is the side of the position table, 0 the architecture's own; depth likewise.
std::unique_ptr<any_backbone> untrained_backbone(std::string_view architecture, std::uint64_t seed,
                                                 index depth = 0, index table = 0,
                                                 context<cpu>* on = nullptr);

/// "untrained:ARCH:SEED" or a file.
std::unique_ptr<any_backbone> open_backbone(const std::string& what, context<cpu>* on = nullptr);

/// What a program wants to see of a run.
struct run_observer {
  /// Before the first step: the network as it stands, steps in all, steps done, images per epoch.
  std::function<void(const any_backbone& network, const progress_mark& at)> begun;
  std::function<void(const progress&)> stepped;
  /// Half way and at the end, with the teacher's backbone.
  std::function<void(const any_backbone& network, const progress_mark& at, bool end)> reached;
};

struct run_result {
  outcome how = outcome::finished;
  progress_mark at;
  verdict condition;
  std::string save_problem;
  double activation_bytes = 0;  ///< measured: the arena's peak
};

/// Pretrains an architecture that trains; the recipe says which method.
run_result run_pretraining(const architecture& arch, const recipe& r, run_options options,
                           const source& pictures, const run_observer& observer);

}  // namespace selfpatch
